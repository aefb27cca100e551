-- What cancels what waits under a key, and asks the worker where it runs; with `child_of` only a child of that group (I13); `why` is
-- the reason for its record, if there is one. Without either somebody cancels the key: what was to run once more after it is dropped.
-- It returns
-- as cancel.lua replies, and the state that the run had. `parked` and `key_queue` are those of the key; those of names that are
-- reserved do for every key.
-- USE alive kept end_waiting drop_successor
local function canceller(prefix, stream, group, queue, reserved_queue, wake_channel, completed_at, ttl_ms)
  return function(key, parked, key_queue, event, child_of, why)
    local run = prefix .. ':runs:' .. key
    local now = where_it_waits(run)
    if child_of and now[9] ~= child_of then return 'NOTHING' end
    if now[12] and not child_of and not why then
      drop_successor(prefix, key, now[12])
      now[12] = nil
    end
    local state, ttl = now[1], kept_for(now[7], ttl_ms)
    if state == 'running' and is_alive(run, key, stream, group, queue, reserved_queue) then
      redis.call('HDEL', run, 'cancel_requested')              -- after it a full server accepts the next write
      redis.call('HSET', run, 'cancel_requested', now[3] or 0) -- for a worker that receives the request before it is listed
      return 'ASKED', state
    elseif state == 'scheduled' or state == 'queued' or state == 'running' then
      redis.call('ZCARD', key_queue)                           -- nothing is removed where it is of another type
      -- Where the entry is not known (pydocket moved it to the stream) the claim must find out that it was cancelled,
      -- and the next generation must not be the same again (I5).
      local kept = ttl == '0' and state ~= 'scheduled' and not entry_id(now[2])
      local record = {'state', 'cancelled', 'completed_at', completed_at}
      if why then record[5], record[6] = 'error', why end
      end_waiting(prefix, stream, group, queue, wake_channel, key, parked, key_queue, now, kept and 900000 or ttl, record, event)
      return 'CANCELLED', state
    end
    local is_over = state == 'completed' or state == 'failed' or state == 'cancelled'
    return is_over and 'OVER' or 'NOTHING', state
  end
end
