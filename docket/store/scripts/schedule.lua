-- Place one task under its key: now on the stream, or later on the queue.
-- KEYS run parked key_queue stream queue plain_parked strikes
-- ARGV key when due replace rescheduled expected group state_channel state_event wake_channel known_strikes prefix fields...
-- REPLY {'OK' | 'EXISTS' | 'SUPERSEDED' | 'STRIKES', generation}. EXISTS: the key is scheduled, queued or running, more
--   than by its record alone, and neither is `replace` '1' nor `rescheduled` the id of the delivery to end with this. SUPERSEDED: `expected` is not
--   '0' and not the key's generation. STRIKES: the id of the last strike is another than `known_strikes`, so that the
--   caller has to read them first; '*' is any.
-- USE json numbers ack place unpark strikes slots alive
if known_strikes ~= '*' and last_strike(strikes) ~= known_strikes then return {'STRIKES', 0} end
local now = redis.call('HMGET', run, 'state', 'known', 'generation', 'stream_id', 'waiter_stream', 'waiter_entry_id', 'reserved')
local state, known, generation, stream_id = now[1], now[2], whole(now[3]) or 0, entry_id(now[4])
if rescheduled ~= '' then ack(stream, group, rescheduled) end
if expected ~= '0' and tonumber(expected) ~= generation then return {'SUPERSEDED', generation} end
if replace == '0' and rescheduled == '' and (known or state == 'running' or (state == 'scheduled' and now[5]))
  and is_alive(run, key, stream, group, key_queue, queue) then return {'EXISTS', generation} end
if state == 'completed' or state == 'failed' or state == 'cancelled' then
  redis.call('DEL', run)                                     -- with its TTL; a reused key starts a fresh record
elseif state then
  redis.call('ZCARD', key_queue)                             -- nothing is taken away where one of them is of another type
  redis.call('XLEN', stream)
  if stream_id then ack(stream, group, stream_id) end
  unpark(key, parked, key_queue, queue, plain_parked)
  redis.call('HDEL', run, 'stream_id', 'claim', 'worker', 'started_at', 'cancel_requested')
  if now[5] then redis.call('HDEL', run, 'waiter_stream', 'waiter_entry_id') end
end
fields[14] = generation + 1                                  -- I5: whatever is older is refused from here on
place(run, parked, key_queue, stream, key, when, due, fields)
redis.call('PUBLISH', state_channel, state_event)
if due == '0' then wake_if_first(key_queue, key, when, wake_channel) end
if now[6] or now[7] then
  local lib = limits_lib()
  lib.withdraw(lib.site_of(prefix, stream, wake_channel), key, state == 'scheduled' and now[5], now[6], now[7])
end
return {'OK', generation + 1}
