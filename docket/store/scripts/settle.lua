-- Write the final state of one claim and acknowledge its delivery.
-- KEYS run stream progress result_key queue reserved_queue
-- ARGV message_id generation claim holder group ttl_ms state_channel state_event wake_channel prefix key slots result record...
-- REPLY 'OK' | 'SUPERSEDED' | 'LOST'; `record` are the fields of the run to set; no result is ''; `slots` are the limits of
--   which it holds a slot (lib/slots.lua), or ''
-- USE ack fence finish give_back ending
local live, reserved, state = check_fence(run, stream, group, message_id, generation, claim, holder)
if live == 'LIVE' then
  if state == 'running' then
    end_run(run, progress, ttl_ms, record, state_channel, state_event, true)
    if result ~= '' and ttl_ms == '' then redis.call('SET', result_key, result)
    elseif result ~= '' and ttl_ms ~= '0' then redis.call('SET', result_key, result, 'PX', ttl_ms) end
  else                                                       -- written already: the reply was lost, or it was done by hand
    redis.call('DEL', progress)
    if ttl_ms == '0' then redis.call('DEL', run) end
  end
  ack(stream, group, message_id)                             -- I1; where this is refused (no stream), the caller tries again
  live = 'OK'
end
if live ~= 'LOST' then give_back(prefix, stream, wake_channel, slots, key, message_id, generation, reserved) end
publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
return live
