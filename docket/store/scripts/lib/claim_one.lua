-- Other clients cancel and replace a woken task without giving back the slots that are reserved for it.
-- USE events numbers ack errors slots
local function forget_refused(prefix, stream, key, generation, reserved)
  if string.match(reserved, '^(%d+) ') == generation then
    local lib = limits_lib()
    lib.forget(lib.site_of(prefix, stream, prefix .. ':wake'), key, reserved)
  end
end
-- Claim one delivery, unless a newer generation or a cancellation took the key from it (then it is acknowledged and
-- gone). Returns what happened, which claim of this delivery it is, from 1, and the time to live that was given for the task
-- (lib/kept.lua). `asked` names the request that brought it, '' where requests have no names. With `first` only another
-- process of the same name can have claimed it before (LOST).
local function claim_one(prefix, stream, group, id, key, generation, worker, started_at, asked, first)
  local run = prefix .. ':runs:' .. key
  local now = redis.call('HMGET', run, 'generation', 'state', 'claim', 'reserved', 'asked', 'ttl')
  local live, mine = whole(now[1]), tonumber(generation)
  if now[1] and not live then error('its record has a generation that is no number', 0) end
  if mine > 0 and (not live or mine < live) then
    ack(stream, group, id)
    if now[4] then forget_refused(prefix, stream, key, generation, now[4]) end
    return 'SUPERSEDED', 0
  end
  local channel = prefix .. ':state:' .. key
  if now[2] == 'cancelled' then
    ack(stream, group, id)
    redis.call('PUBLISH', channel, event_of(key, 'cancelled', ',"completed_at":"' .. started_at .. '"'))
    if now[4] then forget_refused(prefix, stream, key, generation, now[4]) end
    return 'CANCELLED', 0
  end
  local claim, before = 1, now[3]
  if before and string.sub(before, 1, #id + 1) == id .. '.' then
    if first and now[5] and now[5] ~= asked then return 'LOST', 0 end
    claim = (whole(string.sub(before, #id + 2)) or 0) + 1
  end
  if asked == '' then
    redis.call('HSET', run, 'state', 'running', 'claim', id .. '.' .. claim, 'worker', worker, 'started_at', started_at)
    redis.call('HDEL', run, 'known', 'stream_id', 'asked')
  else
    redis.call('HSET', run, 'state', 'running', 'claim', id .. '.' .. claim, 'worker', worker, 'started_at', started_at,
      'asked', asked)
    redis.call('HDEL', run, 'known', 'stream_id')
  end
  local progress = prefix .. ':progress:' .. key
  if redis.call('HSET', progress, 'current', 0, 'total', 100, 'generation', generation) < 3 then
    redis.call('HDEL', progress, 'message', 'updated_at', 'reported')        -- of an earlier run
    redis.call('PERSIST', progress)
  end
  redis.call('PUBLISH', channel,
    event_of(key, 'running', ',"worker":' .. json(worker) .. ',"started_at":"' .. started_at .. '"'))
  return 'OK', claim, now[6]
end
-- I9: what is wrong with the keys of one message (a string where the run should be) harms only that message.
local function try_claim(...)
  local ok, reply, claim, ttl = pcall(claim_one, ...)
  if ok then return reply, claim, ttl or nil end
  if is_refusal(error_text(reply)) then error(reply, 0) end
  return 'BROKEN', error_text(reply)
end
-- Claim an entry of the stream. Returns what a script that reads replies for it, and whether the claim was refused; I9:
-- an entry without a key is 'UNREADABLE'.
local function claim_entry(prefix, stream, group, entry, worker, started_at, asked, times)
  local id, fields, key, generation = entry[1], entry[2] or {}, nil, '0'
  for at = 1, #fields, 2 do
    if fields[at] == 'key' then key = fields[at + 1] elseif fields[at] == 'generation' then generation = fields[at + 1] end
  end
  if not key or not whole(generation) then return {id, 'UNREADABLE', 0, fields, times} end
  local reply, claim, ttl = try_claim(prefix, stream, group, id, key, generation, worker, started_at, asked)
  return {id, reply, claim, fields, times, ttl}, reply ~= 'OK'
end
