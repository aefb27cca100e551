-- Whether the run that is recorded at `run` still waits or runs: it has an entry on the stream, or a place on a queue or
-- among the waiters of a limit. Its state alone does not prove that: somebody may have trimmed, deleted or restored a part.
-- USE stream_of
local function is_alive(run, key, stream, group, queue, other_queue)
  local function has(name, id)
    local found = redis.pcall('XRANGE', name, id, id)
    return not found.err and #found > 0
  end
  local now = redis.call('HMGET', run, 'state', 'stream_id', 'claim', 'worker', 'waiter_stream', 'waiter_entry_id')
  local state, stream_id, claim, worker = now[1], now[2], now[3], now[4]
  if state == 'scheduled' then
    if now[5] and now[6] then return has(now[5], now[6]) end
    return now[5] or redis.call('ZSCORE', queue, key) or redis.call('ZSCORE', other_queue, key)
  elseif state == 'queued' and stream_id then
    return has(stream_of(stream, stream_id), stream_id)
  elseif state ~= 'queued' and state ~= 'running' then
    return false
  end
  local id = state == 'running' and claim and string.match(claim, '^(%d+%-%d+)%.')
  if id == '0-0' then return true end                        -- claimed by hand, without an entry
  -- pydocket does not record which entry it is.
  if not id then return redis.call('XLEN', stream) > 0 end
  local name = stream_of(stream, id)
  if has(name, id) then return true end
  -- The claim may be that of an earlier run, before pydocket replaced and claimed it: then its worker holds another.
  local held = redis.pcall('XPENDING', name, group, id, id, 1)
  if held.err or (held[1] and held[1][2] == worker) then return false end
  return worker and #redis.call('XPENDING', stream, group, '-', '+', 1, worker) > 0
end
