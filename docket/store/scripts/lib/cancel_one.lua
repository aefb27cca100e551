-- What cancels what waits under a key, and asks the worker where it runs; with `child_of` only a child of that group (I13). It returns
-- as cancel.lua replies, and the state that the run had. `parked` and `key_queue` are those of the key; those of names that are
-- reserved do for every key.
-- USE numbers unplace alive ending kept failures kin
local function canceller(prefix, stream, group, queue, reserved_queue, wake_channel, completed_at, ttl_ms)
  return function(key, parked, key_queue, event, child_of)
    local run, progress = prefix .. ':runs:' .. key, prefix .. ':progress:' .. key
    local now = redis.call('HMGET', run, 'state', 'stream_id', 'generation', 'waiter_stream', 'waiter_entry_id', 'reserved', 'ttl',
      'noted', 'group', 'groups')
    if child_of and now[9] ~= child_of then return 'NOTHING' end
    local state, stream_id, ttl = now[1], entry_id(now[2]), kept_for(now[7], ttl_ms)
    if state == 'running' and is_alive(run, key, stream, group, queue, reserved_queue) then
      redis.call('HDEL', run, 'cancel_requested')              -- after it a full server accepts the next write
      redis.call('HSET', run, 'cancel_requested', now[3] or 0) -- for a worker that receives the request before it is listed
      return 'ASKED', state
    elseif state == 'scheduled' or state == 'queued' or state == 'running' then
      redis.call('ZCARD', key_queue)                           -- nothing is removed where it is of another type
      unplace(stream, group, stream_id, key, parked, key_queue, queue, prefix .. ':' .. key)
      -- Where the entry is not known (pydocket moved it to the stream) the claim must find out that it was cancelled,
      -- and the next generation must not be the same again (I5).
      local kept = ttl == '0' and state ~= 'scheduled' and not stream_id
      local record = {'state', 'cancelled', 'completed_at', completed_at}
      end_run(run, progress, kept and 900000 or ttl, record, prefix .. ':state:' .. key, event)
      leave_limits(prefix, stream, wake_channel, key, now[4], now[5], now[6])
      if now[8] then failures_lib(prefix).try('give_up', key) end
      if now[9] or now[10] then end_in_groups(prefix, key, 'cancelled', now[9], now[10]) end
      return 'CANCELLED', state
    end
    local is_over = state == 'completed' or state == 'failed' or state == 'cancelled'
    return is_over and 'OVER' or 'NOTHING', state
  end
end
