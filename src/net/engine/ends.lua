-- Where a lane ends: its world, empty if there is none, and the log's last id. Changes nothing.
-- KEYS: log, meta
local last = '0-0'
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not info.err then
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then last = info[at + 1] end
  end
end
return {redis.call('HGET', KEYS[2], 'world') or '', last}
