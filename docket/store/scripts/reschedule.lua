-- End one claim and place the next run of its key (a retry, a perpetual task) in the same step.
-- KEYS run key_queue stream progress queue reserved_queue result_key
-- ARGV message_id generation claim holder group key when due state_channel state_event wake_channel prefix slots same ended_event state ended_at error result_name result ttl_ms tried call...
-- REPLY 'OK' | 'SUPERSEDED' | 'LOST' | 'ASKED'; `slots` as in lib/settle.lua; with `same` '1' the run is not over, and what
--   admission it has stays; 'ASKED': its cancellation was requested, and the caller settles. Where a call is over (no retry,
--   and not put off) `ended_event` is published and its end recorded beside what follows; else it is ''. `result` is kept
--   under `result_key`, which the record calls `result_name`; none is ''. `tried` is the error of an attempt that is
--   retried, else ''; `call` as in lib/place.lua
-- USE ack fence place running finish give_back result
local live, reserved = check_fence(run, stream, group, message_id, generation, claim, holder)
if live ~= 'LIVE' then
  if live == 'SUPERSEDED' then give_back(prefix, stream, wake_channel, slots, key, message_id, generation) end
  publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  return live
end
if redis.call('HGET', run, 'cancel_requested') == generation then return 'ASKED' end
redis.call('DEL', progress)                                  -- first: a full server accepts writes once memory is freed
local following = string.format('%d', tonumber(generation) + 1)
place(prefix, stream, key_queue, key, when, due, state_event, following, call)
if same == '1' and redis.call('HGET', run, 'admitted') == generation then
  redis.call('HSET', run, 'admitted', following)
end
if tried ~= '' then redis.call('HSET', run, 'attempt', call[5], 'tried', tried) end
if tried ~= '' or same == '1' then leave_running(run, 'cancel_requested')
else leave_running(run, 'cancel_requested', 'attempt', 'tried') end   -- another call
if ended_event ~= '' then
  redis.call('HSET', run, 'last_generation', generation, 'last_state', state, 'last_completed_at', ended_at,
    'last_error', error, 'last_result_key', result_name)
  keep_result(result_key, result, ttl_ms)
  redis.call('PUBLISH', state_channel, ended_event)            -- after the event of what follows, as pydocket does
end
ack(stream, group, message_id)                               -- I1
give_back(prefix, stream, wake_channel, slots, key, message_id, generation, reserved)
return 'OK'
