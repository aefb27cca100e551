-- Read what waits on the stream and claim it, in one step. Never blocks.
-- KEYS stream queue reserved_queue strikes
-- ARGV prefix group worker count started_at wake_channel
-- REPLY {id of the last strike or '', taken}; `taken` is a list of {message_id, 'OK' | 'SUPERSEDED' | 'CANCELLED' |
--   'UNREADABLE' | 'BROKEN', claim, fields}; with 'BROKEN' the reason stands for the claim. Nothing taken: no id.
-- USE json numbers ack slots claim_one finish strikes
local read = redis.call('XREADGROUP', 'GROUP', group, worker, 'COUNT', count, 'STREAMS', stream, '>')
local taken, refused = {}, false
if not read then return {'', taken} end
for i, entry in ipairs(read[1][2]) do
  local id, fields = entry[1], entry[2]
  local key, generation = nil, '0'
  if fields then
    for at = 1, #fields, 2 do
      if fields[at] == 'key' then key = fields[at + 1] elseif fields[at] == 'generation' then generation = fields[at + 1] end
    end
  end
  if key and whole(generation) then
    local reply, claim = try_claim(prefix, stream, group, id, key, generation, worker, started_at)
    taken[i] = {id, reply, claim, fields}
    refused = refused or reply ~= 'OK'
  else
    taken[i] = {id, 'UNREADABLE', 0, fields or {}}           -- I9
  end
end
if refused then tell_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
return {last_strike(strikes), taken}
