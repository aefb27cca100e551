-- Write the final state of a run by hand, wherever it stands, and remove what would run it again.
-- KEYS run parked key_queue stream progress queue reserved_queue plain_parked
-- ARGV key generation message_id group ttl_ms state_channel state_event wake_channel prefix record...
-- REPLY 'OK' | 'SUPERSEDED': a newer generation owns the key, or the run has ended. `record` are the fields to set
-- USE numbers ack finish unplace ending kept failures kin
local now = redis.call('HMGET', run, 'state', 'stream_id', 'generation', 'waiter_stream', 'waiter_entry_id', 'reserved', 'ttl',
  'noted', 'group', 'groups')
local state = now[1]
if message_id ~= '' then ack(stream, group, message_id) end                                          -- I1
local over = not state or state == 'completed' or state == 'failed' or state == 'cancelled'
if over or (generation ~= '0' and generation ~= now[3]) then return 'SUPERSEDED' end                 -- I2
unplace(stream, group, entry_id(now[2]), key, parked, key_queue, queue, plain_parked)
end_run(run, progress, kept_for(now[7], ttl_ms), record, state_channel, state_event)
leave_limits(prefix, stream, wake_channel, key, now[4], now[5], now[6])
if now[8] then failures_lib(prefix).try(record[2] == 'completed' and 'drop' or 'give_up', key) end
if now[9] or now[10] then end_in_groups(prefix, key, record[2], now[9], now[10]) end
publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
return 'OK'
