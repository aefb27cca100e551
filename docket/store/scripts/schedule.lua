-- Place one task under its key: now on the stream, or later on the queue.
-- KEYS run parked key_queue stream queue plain_parked strikes
-- ARGV key when due replace rescheduled expected group state_channel state_event wake_channel known_strikes prefix ttl fields...
-- REPLY {'OK' | 'EXISTS' | 'SUPERSEDED' | 'STRIKES', generation}. EXISTS: the key is scheduled, queued or running, by more
--   than its record alone, `replace` is not '1', and no delivery ends with this. SUPERSEDED: `expected` is not '0' and not
--   the generation of the key. STRIKES: the id of the last strike is another than `known_strikes`, so the caller reads them
--   first; '*' is any. `rescheduled` is the id of the delivery that ends with this, or ''. `ttl` is what the caller gave for
--   this task (lib/kept.lua), '-' for nothing: then what continues a chain keeps that of the key.
-- USE numbers ack place running unplace strikes alive
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
  redis.call('ZCARD', key_queue)                             -- nothing is removed where one of them is of another type
  redis.call('XLEN', stream)
  unplace(stream, group, stream_id, key, parked, key_queue, queue, plain_parked)
  leave_running(run, 'stream_id', 'cancel_requested', 'attempt', 'tried', rescheduled == '' and expected == '0' and 'ttl' or 'stream_id')
  if now[5] then redis.call('HDEL', run, 'waiter_stream', 'waiter_entry_id') end
end
fields[14] = generation + 1                                  -- I5: whatever is older is refused from here on
place(run, parked, key_queue, stream, key, when, due, fields, state_channel, state_event, wake_channel)
if fields[12] ~= '1' then redis.call('HSET', run, 'attempt', fields[12]) end
if ttl ~= '-' then redis.call('HSET', run, 'ttl', ttl) end
leave_limits(prefix, stream, wake_channel, key, state == 'scheduled' and now[5], now[6], now[7])
return {'OK', generation + 1}
