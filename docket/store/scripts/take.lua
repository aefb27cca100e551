-- Read tasks that wait on the stream, write how claims have ended, and claim what was read, in one step. Never blocks.
-- KEYS stream queue reserved_queue strikes
-- ARGV prefix group worker started_at wake_channel asked count ended...
-- REPLY {id of the last strike or '', settled, taken...}; of each entry that was taken: message_id, 'OK' | 'SUPERSEDED' |
--   'CANCELLED' | 'PAUSED' | 'UNREADABLE' | 'BROKEN' | 'EXPIRED' (it is claimed, and is not to begin any more), claim, how often it was delivered, its time to live ('-' where none was
--   given), how many names and values of fields follow, and these; with 'BROKEN' the reason stands for the claim. Of most, which
--   are OK, the first claim of the first delivery, and have no other fields than all have: message_id, 'USUAL', time to live, and
--   the values of their fields in the order of codec.py. Nothing taken: no id; 'PAUSED' stands for it where all tasks are paused.
--   `asked` as in lib/claim_one.lua; `ended` and `settled` as in lib/settle_all.lua, they ended at `started_at`
-- USE claim_one settle_all finish forget strikes pauses read_lanes
local over, reply, gone = {}, {'', ''}, #ended > 0
local paused, wrong = paused_tasks(prefix)
if wrong then return wrong end
local read = nil
if paused and paused['*'] then
  reply[1] = 'PAUSED'
else                                                           -- first: what follows here is for whoever waits for it, also elsewhere
  if string.find(count, ' ', 1, true) then read = read_lanes(stream, group, worker, count)
  else
    read = redis.call('XREADGROUP', 'GROUP', group, worker, 'COUNT', count, 'STREAMS', stream, '>')
    read = read and read[1][2]
  end
end
if gone then reply[2] = settle_all(prefix, stream, group, wake_channel, worker, started_at, ended, over) end
if read then
  local claim_entry = claimer(prefix, stream, group, worker, started_at, asked, over, paused).entry
  for _, entry in ipairs(read) do gone = claim_entry(reply, entry, 1) or gone end
  reply[1] = last_strike(strikes)
end
forget_all(over)
if gone then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
return reply
