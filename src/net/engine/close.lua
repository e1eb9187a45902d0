-- Closes an incarnation in a lane, and appends its last batch. Only the first one to do that does it.
-- KEYS: log, meta, nodes, rooms, names, homes: all of one lane
-- ARGV: incarnation, entries_max, payload, then rooms with how many lines each has
local log, meta, nodes, rooms, homes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[6]
local incarnation = ARGV[1]

if redis.call('HDEL', nodes, incarnation) == 0 then return 'FENCED' end
redis.call('HDEL', homes, incarnation)
local firsts = {}
for at = 4, #ARGV, 2 do
  local line = redis.call('HINCRBY', rooms, ARGV[at], ARGV[at + 1])
  firsts[#firsts + 1] = string.format('%.0f', line - ARGV[at + 1] + 1)
end
local sequence = redis.call('HINCRBY', meta, 'seq', 1)
redis.call('XADD', log, 'MAXLEN', '~', ARGV[2], '*',
  's', sequence, 'i', incarnation, 'k', 'end', 'n', table.concat(firsts, ' '), 'b', ARGV[3])
return 'APPENDED'
