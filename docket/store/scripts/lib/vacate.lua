-- Have what is recorded under a key give way to what is to be placed there. Returns the generation of the key, why it does not
-- give way ('EXISTS' | 'SUPERSEDED', as in schedule.lua) if it does not, and what gives back what it has of limits.
local function vacate(prefix, stream, group, run, key, key_queue, queue, replace, rescheduled, expected)
  -- USE numbers running unplace alive failures kin expiring drop_successor
  local now = redis.call('HMGET', run, 'state', 'known', 'generation', 'stream_id', 'waiter_stream', 'waiter_entry_id', 'reserved',
    'noted', 'group', 'groups', 'expires', 'successor')
  local state, generation = now[1], whole(now[3]) or 0
  if expected ~= '0' and tonumber(expected) ~= generation then return generation, 'SUPERSEDED' end
  if replace == '0' and rescheduled == '' and (now[2] or state == 'running' or (state == 'scheduled' and now[5]))
    and is_alive(run, key, stream, group, key_queue, queue) then return generation, 'EXISTS' end
  local is_other = rescheduled == '' and expected == '0'       -- call
  if now[12] and replace == '1' and is_other then drop_successor(prefix, key, now[12]) end
  if state == 'completed' or state == 'failed' or state == 'cancelled' then
    redis.call('DEL', run)                                   -- with its TTL; a reused key starts a fresh record
    if whole(now[12]) and replace ~= '1' then redis.call('HSET', run, 'successor', now[12]) end   -- whoever ended the run knows of none
  elseif state then
    redis.call('ZCARD', key_queue)                           -- nothing is removed where one of them is of another type
    redis.call('XLEN', stream)
    local parked = parked_at(prefix, key_queue, key)
    unplace(stream, group, entry_id(now[4]), key, parked, key_queue, queue, prefix .. ':' .. key)
    leave_running(run, 'stream_id', 'cancel_requested', 'attempt', 'tried', 'nonce', 'groups', is_other and 'ttl' or 'stream_id',
      is_other and 'group' or 'stream_id')
    if now[5] then redis.call('HDEL', run, 'waiter_stream', 'waiter_entry_id') end
    if now[11] then expiring_lib(prefix).forget(run, key) end
    if now[8] and is_other then
      redis.call('HDEL', run, 'noted')
      failures_lib(prefix).try('give_up', key)
    end
    local child_of = is_other and now[9]                       -- who takes the place of a child is none
    if child_of or now[10] then end_in_groups(prefix, key, 'cancelled', child_of, now[10]) end
  end
  return generation, nil, function()
    leave_limits(prefix, stream, prefix .. ':wake', key, state == 'scheduled' and now[5], now[6], now[7])
  end
end
