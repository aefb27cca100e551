-- Two steps about a run that may wait. What its record says of where it does:
-- USE numbers unplace ending failures kin expiring succeed
local function where_it_waits(run)
  return redis.call('HMGET', run, 'state', 'stream_id', 'generation', 'waiter_stream', 'waiter_entry_id', 'reserved', 'ttl', 'noted',
    'group', 'groups', 'expires', 'successor')
end
-- And, with that: end it by the fields of `record`, the second of which is the state, and remove what would run it again.
local function end_waiting(prefix, stream, group, queue, wake_channel, key, parked, key_queue, now, ttl_ms, record, event)
  unplace(stream, group, entry_id(now[2]), key, parked, key_queue, queue, prefix .. ':' .. key)
  local run, progress = prefix .. ':runs:' .. key, prefix .. ':progress:' .. key
  if now[11] then expiring_lib(prefix).forget(run, key) end
  if now[12] and succeed(prefix, stream, key, now[12], now[3] or '0', record, event) then redis.call('DEL', progress)
  else end_run(run, progress, ttl_ms, record, prefix .. ':state:' .. key, event) end
  leave_limits(prefix, stream, wake_channel, key, now[4], now[5], now[6])
  if now[8] then failures_lib(prefix).try(record[2] == 'completed' and 'drop' or 'give_up', key) end
  if now[9] or now[10] then end_in_groups(prefix, key, record[2], now[9], now[10]) end
end
