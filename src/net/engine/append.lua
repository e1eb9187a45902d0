-- Appends a batch to a lane, unless its incarnation is not open there, or this batch or a later one has been appended.
-- KEYS: log, meta, nodes, rooms: all of one lane
-- ARGV: world, incarnation, number, entries_max, payload, then rooms with how many lines each has
local log, meta, nodes, rooms = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local incarnation, number = ARGV[2], ARGV[3]

if redis.call('HGET', meta, 'world') ~= ARGV[1] then return 'FENCED' end
local last = redis.call('HGET', nodes, incarnation)
if not last then return 'FENCED' end
if tonumber(last) >= tonumber(number) then return 'REPEATED' end

redis.call('HSET', nodes, incarnation, number)
local firsts = {}
for at = 6, #ARGV, 2 do
  local line = redis.call('HINCRBY', rooms, ARGV[at], ARGV[at + 1])
  firsts[#firsts + 1] = string.format('%.0f', line - ARGV[at + 1] + 1)
end
local sequence = redis.call('HINCRBY', meta, 'seq', 1)
redis.call('XADD', log, 'MAXLEN', '~', ARGV[4], '*',
  's', sequence, 'i', incarnation, 'k', number, 'n', table.concat(firsts, ' '), 'b', ARGV[5])
return 'APPENDED'
