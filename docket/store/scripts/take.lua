-- Write how claims have ended, then read tasks that wait on the stream and claim them, in one step. Never blocks.
-- KEYS stream queue reserved_queue strikes
-- ARGV prefix group worker started_at wake_channel asked count ended...
-- REPLY {id of the last strike or '', taken, settled}; `taken` is a list of {message_id, 'OK' | 'SUPERSEDED' | 'CANCELLED' |
--   'UNREADABLE' | 'BROKEN', claim, fields, how often it was delivered, and its time to live if that was given}; with
--   'BROKEN' the reason stands for the claim. Nothing taken: no id. `asked` as in lib/claim_one.lua; `ended` and `settled`
--   as in lib/settle_all.lua, they ended at `started_at`
-- USE claim_one settle_all finish forget strikes
local taken, settled, newest, gone, over = {}, {}, '', #ended > 0, {}
if gone then settled = settle_all(prefix, stream, group, wake_channel, worker, started_at, ended, over) end
local read = redis.call('XREADGROUP', 'GROUP', group, worker, 'COUNT', count, 'STREAMS', stream, '>')
if read then
  local claim_entry = claimer(prefix, stream, group, worker, started_at, asked, over).entry
  for i, entry in ipairs(read[1][2]) do
    local one, is_refused = claim_entry(entry, 1)
    taken[i], gone = one, gone or is_refused
  end
  newest = last_strike(strikes)
end
forget_all(over)
if gone then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
return {newest, taken, settled}
