-- Read what waits on the stream and claim it, in one step. Never blocks.
-- KEYS stream
-- ARGV prefix group worker count started_at
-- REPLY a list of {message_id, 'OK' | 'SUPERSEDED' | 'CANCELLED' | 'UNREADABLE', claim, fields}
-- USE json ack claim_one
local read = redis.call('XREADGROUP', 'GROUP', group, worker, 'COUNT', count, 'STREAMS', stream, '>')
local taken = {}
if not read then return taken end
for i, entry in ipairs(read[1][2]) do
  local id, fields = entry[1], entry[2]
  local key, generation = nil, '0'
  if fields then
    for at = 1, #fields, 2 do
      if fields[at] == 'key' then key = fields[at + 1] elseif fields[at] == 'generation' then generation = fields[at + 1] end
    end
  end
  if key and tonumber(generation) then
    local reply, claim = claim_one(prefix, stream, group, id, key, generation, worker, started_at, started_at)
    taken[i] = {id, reply, claim, fields}
  else
    taken[i] = {id, 'UNREADABLE', 0, fields or {}}           -- I9
  end
end
return taken
