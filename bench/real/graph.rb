# SPDX-License-Identifier: MIT
#
# Builds graphs of objects, finds shortest ways, makes reports of strings: ruby's objects, arrays
# and hashes.

Node = Struct.new(:name, :edges, :distance)

class Draw
  def initialize(seed)
    @state = seed
  end

  def below(limit)
    @state = (@state * 1_103_515_245 + 12_345) % 2_147_483_648
    (@state / 65_536) % limit
  end
end

def graph(draw, size)
  nodes = Array.new(size) { |i| Node.new("node #{i} of #{size}", [], nil) }
  nodes.each_with_index do |node, i|
    (1 + draw.below(4)).times { node.edges << [nodes[draw.below(size)], 1 + draw.below(9)] }
    node.edges << [nodes[(i + 1) % size], 10]
  end
  nodes
end

def distances(nodes)
  nodes.each { |n| n.distance = nil }
  nodes.first.distance = 0
  waiting = [nodes.first]
  until waiting.empty?
    following = []
    waiting.each do |node|
      node.edges.each do |target, weight|
        length = node.distance + weight
        next unless target.distance.nil? || length < target.distance

        target.distance = length
        following << target
      end
    end
    waiting = following.uniq
  end
end

def report(nodes)
  lines = nodes.map do |node|
    "#{node.name}: #{node.distance} over #{node.edges.map { |target, _| target.name }.join(', ')}"
  end
  groups = lines.group_by(&:length).transform_values { |v| v.map(&:upcase).sort }
  groups.sum { |length, texts| length * texts.size }
end

draw = Draw.new(7)
check = 0
Integer(ARGV[0]).times do
  nodes = graph(draw, 2000)
  distances(nodes)
  check += report(nodes)
end
puts check
