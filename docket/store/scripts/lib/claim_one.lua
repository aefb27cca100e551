-- Other clients than ours cancel and replace a woken task without giving back the slots that are kept for it.
local function forget_refused(prefix, stream, key, generation, reserved)
  if string.match(reserved, '^(%d+) ') == generation then
    local lib = limits_lib()
    lib.forget(lib.site_of(prefix, stream, prefix .. ':wake'), key, reserved)
  end
end
-- Make one delivery ours, unless a newer generation or a cancellation took the key from it (then it is
-- acknowledged and gone). Returns what happened and which claim of this delivery it is, from 1.
local function claim_one(prefix, stream, group, id, key, generation, worker, started_at)
  local run = prefix .. ':runs:' .. key
  local now = redis.call('HMGET', run, 'generation', 'state', 'claim', 'reserved')
  local live, mine = whole(now[1]), tonumber(generation)
  if now[1] and not live then error('its record has a generation that is no number', 0) end
  if mine > 0 and (not live or mine < live) then
    ack(stream, group, id)
    if now[4] then forget_refused(prefix, stream, key, generation, now[4]) end
    return 'SUPERSEDED', 0
  end
  local channel, name = prefix .. ':state:' .. key, json(key)
  if now[2] == 'cancelled' then
    ack(stream, group, id)
    redis.call('PUBLISH', channel, '{"type":"state","key":' .. name .. ',"state":"cancelled","completed_at":"'
      .. started_at .. '"}')
    if now[4] then forget_refused(prefix, stream, key, generation, now[4]) end
    return 'CANCELLED', 0
  end
  local claim, before = 1, now[3]
  if before and string.sub(before, 1, #id + 1) == id .. '.' then
    claim = (whole(string.sub(before, #id + 2)) or 0) + 1
  end
  redis.call('HSET', run, 'state', 'running', 'claim', id .. '.' .. claim, 'worker', worker, 'started_at', started_at)
  redis.call('HDEL', run, 'known', 'stream_id')
  local progress = prefix .. ':progress:' .. key
  if redis.call('HSET', progress, 'current', 0, 'total', 100, 'generation', generation) < 3 then
    redis.call('HDEL', progress, 'message', 'updated_at', 'reported')        -- reported before this run
    redis.call('PERSIST', progress)
  end
  redis.call('PUBLISH', channel, '{"type":"state","key":' .. name .. ',"state":"running","worker":' .. json(worker)
    .. ',"started_at":"' .. started_at .. '"}')
  return 'OK', claim
end
-- I9: what is wrong with the keys of one message (a string where the run should be) harms only that message.
local function try_claim(...)
  local ok, reply, claim = pcall(claim_one, ...)
  if ok then return reply, claim end
  local code = string.match(said(reply), '%u%u%u+ ')
  if code and code ~= 'WRONGTYPE ' and code ~= 'ERR ' then error(reply, 0) end   -- the server refuses all (OOM, READONLY)
  return 'BROKEN', said(reply)
end
