-- Two steps about a run that may wait. What its record says of where it does:
-- USE numbers unplace end_for_good failures kin expiring
local function where_it_waits(run)
  return redis.call('HMGET', run, 'state', 'stream_id', 'generation', 'waiter_stream', 'waiter_entry_id', 'reserved', 'ttl', 'noted',
    'group', 'groups', 'expires', 'successor')
end
-- And, with that: end it by the fields of `record`, the second of which is the state, and remove what would run it again.
local function end_waiting(prefix, stream, group, queue, wake_channel, key, parked, key_queue, now, ttl_ms, record, event)
  unplace(stream, group, entry_id(now[2]), key, parked, key_queue, queue, prefix .. ':' .. key)
  if now[11] then expiring_lib(prefix).forget(prefix .. ':runs:' .. key, key) end
  end_for_good(prefix, stream, key, now[3] or '0', now[12], ttl_ms, record, event)
  leave_limits(prefix, stream, wake_channel, key, now[4], now[5], now[6])
  if now[8] then failures_lib(prefix).try(record[2] == 'completed' and 'drop' or 'give_up', key) end
  if now[9] or now[10] then end_in_groups(prefix, key, record[2], now[9], now[10]) end
end
