-- End runs that have expired as they wait, on time, and say which are next.
-- KEYS stream queue reserved_queue expiring
-- ARGV prefix group at ttl_ms limit wake_channel decided...
-- REPLY {in how many ms the next one expires, a month at most, or '', what became of `decided`..., a key, its task and the moment (epoch) of each that
--   has expired...}; `decided` are threes: 'END' it, or 'MOVE' it to a worker, which ends it and knows what follows; its key; the moment as text.
--   Of each there is 'MOVED', 'GONE' (it does not wait any more, or not until then), or 'ENDED', with its generation and when it was due
-- USE events numbers errors stream_of queued finish cancel_one expiring
local lib = expiring_lib(prefix)
local cancel = nil
local function first_of(name, id)
  local found = redis.pcall('XRANGE', name, id, id)
  return not found.err and found[1] and found[1][2] or {}
end
local function message_of(key, now)
  if now[3] and now[4] then return first_of(now[3], now[4]) end
  if now[1] == 'queued' then return now[2] and first_of(stream_of(stream, now[2]), now[2]) or {} end
  for _, shelf in ipairs({prefix, reserved_queue}) do
    local waiting = shelf == prefix and queue or reserved_queue
    if redis.call('ZSCORE', waiting, key) then return redis.call('HGETALL', shelf .. ':' .. key), waiting end
  end
  return {}
end
-- Have a message that waits go to a worker.
local function move(run, key, now, fields, waiting)
  if waiting then
    redis.call('ZADD', waiting, lib.now, key)
    redis.call('PUBLISH', wake_channel, 'due ' .. string.format('%.6f', lib.now))
  elseif now[3] and now[4] then
    local following = string.format('%d', (whole(now[5]) or 0) + 1)
    for f = 1, #fields, 2 do
      if fields[f] == 'generation' then fields[f + 1] = following end
    end
    put_on_stream(redis.call, stream, run, fields, 'generation', following, 'known', lib.now)
    redis.call('HDEL', run, 'waiter_stream', 'waiter_entry_id')
    redis.call('PUBLISH', prefix .. ':state:' .. key, event_of(key, 'queued'))
    leave_limits(prefix, stream, wake_channel, key, now[3], now[4])
  end
end
local function act(how, key, until_when)
  local run = prefix .. ':runs:' .. key
  local now = redis.call('HMGET', run, 'state', 'stream_id', 'waiter_stream', 'waiter_entry_id', 'generation', 'when')
  local waits, fields, waiting = now[1] == 'scheduled' or now[1] == 'queued', {}, nil
  if waits then fields, waiting = message_of(key, now) end
  local found = lib.find(fields, 1)
  if not found or not lib.has_passed(fields[found]) then
    if found and tonumber(fields[found]) then redis.call('ZADD', expiring, fields[found], key) end
    return 'GONE'
  elseif how == 'MOVE' then
    move(run, key, now, fields, waiting)
    return 'MOVED'
  end
  cancel = cancel or canceller(prefix, stream, group, queue, reserved_queue, wake_channel, at, ttl_ms)
  local why = 'ExecutionExpired: it had not begun by ' .. until_when
  local event = event_of(key, 'cancelled', ',"completed_at":"' .. at .. '","error":' .. json(why))
  cancel(key, reserved_queue .. ':' .. key, reserved_queue, event, nil, why)
  return 'ENDED', now[5] or '0', now[6] or ''
end
local reply, has_ended = {''}, false
for n = 1, #decided, 3 do
  redis.call('ZREM', expiring, decided[n + 1])                     -- first: whatever happens, it is not looked at again and again
  local ok, word, generation, due = pcall(act, decided[n], decided[n + 1], decided[n + 2])
  if not ok and is_refusal(error_text(word)) then error(word, 0) end
  reply[#reply + 1] = ok and word or 'GONE'                    -- I9
  if ok and word == 'ENDED' then
    reply[#reply + 1], reply[#reply + 2] = generation, due
    has_ended = true
  end
end
local first = redis.pcall('ZRANGEBYSCORE', expiring, '-inf', string.format('%.6f', lib.now), 'WITHSCORES', 'LIMIT', 0, limit)
for n = 1, first.err and 0 or #first, 2 do
  local task = redis.pcall('HGET', prefix .. ':runs:' .. first[n], 'function')
  for _, each in ipairs({first[n], type(task) == 'string' and task or '', first[n + 1]}) do reply[#reply + 1] = each end
end
local following = not first.err and redis.call('ZRANGE', expiring, 0, 0, 'WITHSCORES')[2]
if following then                                                -- a month at most: anybody may have written inf (I9)
  reply[1] = string.format('%.0f', math.min(math.max(0, math.ceil((following - lib.now) * 1000)), 30 * 86400000))
end
if has_ended then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
return reply
