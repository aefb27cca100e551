-- Write the final state of one claim and acknowledge its delivery.
-- KEYS run stream progress result_key queue reserved_queue
-- ARGV message_id generation claim holder group ttl_ms state_channel state_event wake_channel result result_ttl_ms record...
-- REPLY 'OK' | 'SUPERSEDED' | 'LOST'; `record` are the fields of the run to set; no result is ''
-- USE ack fence
local live = check_fence(run, stream, group, message_id, generation, claim, holder)
if live ~= 'LIVE' then return live end
if ttl_ms == '0' then
  redis.call('DEL', run)
else
  redis.call('HSET', run, unpack(record))
  redis.call('PEXPIRE', run, ttl_ms)
end
if result ~= '' then redis.call('SET', result_key, result, 'PX', result_ttl_ms) end
redis.call('DEL', progress)
ack(stream, group, message_id)                               -- I1
redis.call('PUBLISH', state_channel, state_event)
if redis.call('XLEN', stream) == 0 and redis.call('ZCARD', queue) == 0 and redis.call('ZCARD', reserved_queue) == 0 then
  redis.call('PUBLISH', wake_channel, 'finished')
end
return 'OK'
