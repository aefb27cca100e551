-- Write the final state of a run by hand, wherever it stands, and remove what would run it again.
-- KEYS run parked key_queue stream queue reserved_queue
-- ARGV key generation message_id group ttl_ms state_event wake_channel prefix record...
-- REPLY 'OK' | 'SUPERSEDED': a newer generation owns the key, or the run has ended. `record` are the fields to set
-- USE ack finish end_waiting kept
local now = where_it_waits(run)
local state = now[1]
if message_id ~= '' then ack(stream, group, message_id) end                                          -- I1
local over = not state or state == 'completed' or state == 'failed' or state == 'cancelled'
if over or (generation ~= '0' and generation ~= now[3]) then return 'SUPERSEDED' end                 -- I2
local ttl = kept_for(now[7], ttl_ms)
end_waiting(prefix, stream, group, queue, wake_channel, key, parked, key_queue, now, ttl, record, state_event)
publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
return 'OK'
