-- Cancel what waits under a key; ask the worker where it runs.
-- KEYS run parked key_queue stream queue reserved_queue
-- ARGV key completed_at ttl_ms group state_event cancel_channel wake_channel prefix failed_at
-- REPLY 'CANCELLED' | 'ASKED' | 'OVER' | 'NOTHING'; `failed_at` '' cancels whatever it is, else only the next attempt of what has failed
--   then, and otherwise nothing is done
-- USE finish cancel_one
if failed_at ~= '' and (not redis.call('HGET', run, 'noted')
  or redis.call('HGET', prefix .. ':ops:failure:' .. key, 'failed_at') ~= failed_at) then return 'NOTHING' end
local cancel = canceller(prefix, stream, group, queue, reserved_queue, wake_channel, completed_at, ttl_ms)
local reply = cancel(key, parked, key_queue, state_event)
if reply == 'CANCELLED' then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
redis.call('PUBLISH', cancel_channel, key)
return reply
