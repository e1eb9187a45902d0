-- Opens an incarnation in a lane, and in the directory appends its first batch.
-- KEYS: log, meta, nodes, rooms, names, homes: all of one lane
-- ARGV: lane, world, lanes, format, incarnation, history, entries_max; in the directory also: name, payload
-- Answers: world, the log's last id and sequence number, the id after which `history` entries come, and in the directory the
-- node's number, then of each other incarnation that is open its node's number and itself.
local log, meta, nodes, names, homes = KEYS[1], KEYS[2], KEYS[3], KEYS[5], KEYS[6]
local lane, world, lanes, format, incarnation = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local is_directory = lane == 'directory'

local known = redis.call('HMGET', meta, 'world', 'lanes', 'format')
if known[2] and known[2] ~= lanes then
  return redis.error_reply('MISMATCH lanes ' .. known[2] .. ' ' .. lanes)
end
if known[3] and known[3] ~= format then
  return redis.error_reply('MISMATCH format ' .. known[3] .. ' ' .. format)
end
if known[1] and known[1] ~= world then
  if is_directory then
    world = known[1]
  else
    -- The directory has begun anew, so whoever is open here was open in another one.
    redis.call('DEL', nodes)
  end
end

local number
if is_directory then
  number = redis.call('HGET', names, ARGV[8])
  if not number then
    number = redis.call('HLEN', names) + 1
    if number > 65535 then
      return redis.error_reply('TOOMANY there have been 65535 names of nodes')
    end
    redis.call('HSET', names, ARGV[8], number)
  end
end
redis.call('HSET', meta, 'world', world, 'lanes', lanes, 'format', format)

local last = '0-0'
local info = redis.pcall('XINFO', 'STREAM', log)
if not info.err then
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then last = info[at + 1] end
  end
end
local after = last
if tonumber(ARGV[6]) > 0 and not is_directory then
  local entries = redis.call('XREVRANGE', log, '+', '-', 'COUNT', ARGV[6] + 1)
  after = '0-0'
  if #entries > tonumber(ARGV[6]) then after = entries[#entries][1] end
end

local answer = {world, last, redis.call('HGET', meta, 'seq') or '0', after}
if is_directory then
  answer[5] = tonumber(number)
  local open = redis.call('HGETALL', homes)
  for at = 1, #open, 2 do
    if open[at] ~= incarnation then
      answer[#answer + 1] = tonumber(open[at + 1])
      answer[#answer + 1] = open[at]
    end
  end
  redis.call('HSET', homes, incarnation, number)
  local sequence = redis.call('HINCRBY', meta, 'seq', 1)
  redis.call('XADD', log, 'MAXLEN', '~', ARGV[7], '*',
    's', sequence, 'i', incarnation, 'k', 0, 'n', number, 'b', ARGV[9])
end
redis.call('HSET', nodes, incarnation, 0)
return answer
