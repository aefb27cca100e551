-- Read tasks that wait on the stream and claim them, in one step. Never blocks.
-- KEYS stream queue reserved_queue strikes
-- ARGV prefix group worker started_at wake_channel asked count
-- REPLY {id of the last strike or '', taken}; `taken` is a list of {message_id, 'OK' | 'SUPERSEDED' | 'CANCELLED' |
--   'UNREADABLE' | 'BROKEN', claim, fields, how often it was delivered, and its time to live if that was given}; with
--   'BROKEN' the reason stands for the claim. Nothing taken: no id. `asked` as in lib/claim_one.lua
-- USE claim_one finish strikes
local read = redis.call('XREADGROUP', 'GROUP', group, worker, 'COUNT', count, 'STREAMS', stream, '>')
local taken, refused = {}, false
if not read then return {'', taken} end
for i, entry in ipairs(read[1][2]) do
  local one, is_refused = claim_entry(prefix, stream, group, entry, worker, started_at, asked, 1)
  taken[i], refused = one, refused or is_refused
end
if refused then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
return {last_strike(strikes), taken}
