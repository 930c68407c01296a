-- SPDX-License-Identifier: MIT
-- Lua allocates each object by one realloc-like function, and shrinks as often as it grows.
local state = 42
local function random(limit)
    state = (state * 1103515245 + 12345) % 2147483648
    return math.floor(state / 256) % limit
end

local function checksum(text)
    local a, b = 1, 0
    for i = 1, #text do
        a = (a + text:byte(i)) % 65521
        b = (b + a) % 65521
    end
    return string.format('%08x', b * 65536 + a)
end

local words, list = {}, {}
for i = 1, 200000 do
    local word = string.char(97 + random(26), 97 + random(26), 97 + random(26))
    words[word] = (words[word] or 0) + i % 7
    if random(50) == 0 then words[word] = nil end
end
for word, count in pairs(words) do list[#list + 1] = word .. count end
table.sort(list)
print('words', #list, checksum(table.concat(list, ',')))

local function tree(depth)
    if depth == 0 then return { value = random(1000) } end
    return { left = tree(depth - 1), right = tree(depth - 1) }
end
local function sum(node)
    return node.value or sum(node.left) + sum(node.right)
end
for round = 1, 12 do print('tree', round, sum(tree(13))) end

local parts = {}
for i = 1, 50000 do
    parts[#parts + 1] = ('%d:%s'):format(i, ('ab'):rep(random(30)))
    if #parts > 1000 then parts = { checksum(table.concat(parts)) } end
end
print('strings', checksum(table.concat(parts)))
print('gsub', checksum((('hello world '):rep(20000):gsub('(%w+) (%w+)', '%2 %1'))))

local routines = {}
for i = 1, 5000 do
    routines[i] = coroutine.wrap(function(x)
        while true do x = coroutine.yield(x + i) end
    end)
end
local total = 0
for round = 1, 10 do
    for i = 1, #routines do total = total + routines[i](round) end
end
print('coroutines', total)
collectgarbage('collect')
print('after', collectgarbage('count') > 0)
