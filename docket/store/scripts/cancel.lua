-- Cancel what waits under a key; ask the worker where it runs.
-- KEYS run parked key_queue stream progress queue reserved_queue plain_parked
-- ARGV key completed_at ttl_ms group state_channel state_event cancel_channel wake_channel prefix failed_at
-- REPLY 'CANCELLED' | 'ASKED' | 'OVER' | 'NOTHING'; `failed_at` '' cancels whatever it is, else only the next attempt of what has failed
--   then, and otherwise nothing is done
-- USE numbers finish unplace alive ending kept failures
local now = redis.call('HMGET', run, 'state', 'stream_id', 'generation', 'waiter_stream', 'waiter_entry_id', 'reserved', 'ttl',
  'noted')
if failed_at ~= '' and (not now[8] or redis.call('HGET', prefix .. ':ops:failure:' .. key, 'failed_at') ~= failed_at) then
  return 'NOTHING'
end
ttl_ms = kept_for(now[7], ttl_ms)
local state, stream_id = now[1], entry_id(now[2])
local reply = 'NOTHING'
if state == 'running' and is_alive(run, key, stream, group, queue, reserved_queue) then
  redis.call('HSET', run, 'cancel_requested', now[3] or 0)   -- for a worker that receives the request before it is listed
  reply = 'ASKED'
elseif state == 'scheduled' or state == 'queued' or state == 'running' then
  redis.call('ZCARD', key_queue)                             -- nothing is removed where it is of another type
  unplace(stream, group, stream_id, key, parked, key_queue, queue, plain_parked)
  -- Where the entry is not known (pydocket moved it to the stream) the claim must find out that it was cancelled,
  -- and the next generation must not be the same again (I5).
  local kept = ttl_ms == '0' and state ~= 'scheduled' and not stream_id
  local record = {'state', 'cancelled', 'completed_at', completed_at}
  end_run(run, progress, kept and 900000 or ttl_ms, record, state_channel, state_event)
  leave_limits(prefix, stream, wake_channel, key, now[4], now[5], now[6])
  if now[8] then failures_lib(prefix).try('give_up', key) end
  publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  reply = 'CANCELLED'
elseif state == 'completed' or state == 'failed' or state == 'cancelled' then
  reply = 'OVER'
end
redis.call('PUBLISH', cancel_channel, key)
return reply
