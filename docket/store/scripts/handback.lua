-- Give one claim back: its message is queued again at once, and the attempt does not count.
-- KEYS run stream progress queue reserved_queue
-- ARGV message_id generation claim holder group key now_epoch state_channel wake_channel prefix slots begun
-- REPLY 'OK' | 'SUPERSEDED' | 'LOST' | 'ASKED'; with that its cancellation was requested, and nothing is written. `slots` as in
--   settle.lua. What is reserved for a run that has not begun stays so, and so does when it expires;
--   with `begun` '1' it has.
-- USE ack events fence carry queued running finish give_back expiring
local live = check_fence(run, stream, group, message_id, generation, claim, holder)
if live == 'LIVE' and redis.call('HGET', run, 'cancel_requested') == generation then return 'ASKED' end
local is_ours = live ~= 'LOST'
local entry = live == 'LIVE' and redis.call('XRANGE', stream_of(stream, message_id), message_id, message_id)[1]
if entry then
  redis.call('DEL', progress)                                -- first: a full server accepts writes once memory is freed
  local fields, lib = carry(entry[2]), #entry[2] > 14 and expiring_lib(prefix)
  local at = lib and lib.find(fields, 1)
  if at and begun == '1' then
    table.remove(fields, at)
    table.remove(fields, at - 1)
    at = nil
  end
  put_on_stream(redis.call, stream, run, fields, 'known', now_epoch)
  leave_running(run)
  if at then lib.note(run, key, fields[at]) end
  ack(stream, group, message_id)                             -- I1
  redis.call('PUBLISH', state_channel, event_of(key, 'queued'))
  live = 'OK'
elseif live == 'LIVE' then                                   -- somebody trimmed the stream
  redis.call('XACK', stream_of(stream, message_id), group, message_id)
  live = 'LOST'
end
if is_ours then give_back(prefix, stream, wake_channel, slots, key, message_id, generation) end
if live ~= 'OK' then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
return live
