# SPDX-License-Identifier: MIT
# Objects, strings, threads, the compacting collector, compression and child processes; every
# figure printed follows from the seed.
require 'digest'
require 'json'
require 'zlib'
require 'set'

RANDOM = Random.new(7)
GC.auto_compact = true if GC.respond_to?(:auto_compact=)

def digest(object)
  Digest::SHA256.hexdigest(object.to_s)[0, 24]
end

def random_tree(depth)
  return RANDOM.rand(1000).to_s * (1 + RANDOM.rand(4)) if depth.zero?

  (0...4).to_h { |i| ["k#{i}_#{RANDOM.rand(50)}", random_tree(depth - 1)] }
end

trees = Array.new(40) { random_tree(5) }
text = JSON.generate(trees)
puts "json #{digest(text)} #{JSON.parse(text) == trees}"
puts "marshal #{Marshal.load(Marshal.dump(trees)) == trees}"
puts "zlib #{Zlib::Inflate.inflate(Zlib::Deflate.deflate(text, 9)) == text}"

words = text.scan(/\d+/)
puts "group #{digest(words.group_by(&:size).transform_values { |w| w.uniq.sort }.sort)}"
puts "gsub #{digest(text.gsub(/(\d)(\d+)/) { "#{Regexp.last_match(2)}#{Regexp.last_match(1)}" })}"

grown = +''
200_000.times do |i|
  grown << (i * 7919 % 10_007).to_s(36)
  grown.slice!(0, 100_000) if grown.size > 250_000
end
puts "string #{digest(grown)}"

queue = Queue.new
threads = Array.new(4) do |n|
  Thread.new do
    2_000.times { |i| queue << [n, i, "#{n}-#{i}" * 20] }
  end
end
seen = Set.new
8_000.times { seen << queue.pop.join('/') }
threads.each(&:join)
puts "queue #{seen.size} #{digest(seen.sort)}"

puts "bignum #{digest((1..2000).inject(:*))}"
GC.compact if GC.respond_to?(:compact)
GC.start

6.times do |n|
  reader, writer = IO.pipe
  pid = fork do
    reader.close
    own = Array.new(30_000) { |i| "c#{n}#{i}" }
    writer.write(digest(own.sort.join))
  end
  writer.close
  puts "child #{reader.read} #{Process.wait2(pid)[1].exitstatus}"
end

fibers = Array.new(2_000) { |i| Fiber.new { |x| loop { x = Fiber.yield(x + i) } } }
puts "fibers #{10.times.sum { |r| fibers.sum { |f| f.resume(r) } }}"
