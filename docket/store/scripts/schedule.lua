-- Place one task under its key: now on the stream, or later on the queue.
-- KEYS stream
-- ARGV prefix key when state_event ttl how call...
-- REPLY 'OK' | 'EXISTS' | 'SUPERSEDED' | 'STRIKES' | 'MEMBER' | 'CLOSED' | 'EXPIRED' | 'NEXT', a space and the generation of the key. EXISTS: the key is scheduled, queued or running, by more
--   than its record alone, it is not to be replaced, and no delivery ends with this. NEXT: it is kept, with that generation, and is placed
--   as the run of the key ends (lib/successor.lua). SUPERSEDED: another generation than that of
--   the key is expected. STRIKES: the caller does not know the last strike, so it reads them first. `ttl` is what the caller gave
--   for this task (lib/kept.lua), '-' for nothing: then what continues a chain keeps that of the key. `how` is '' for what is
--   common, else as in lib/how_placed.lua; `call` as in lib/place.lua. Of a child of a group: MEMBER: the group has it already, however
--   it stands. CLOSED: the group takes nobody any more. EXPIRED: the moment has passed by which it is to begin (lib/expiring.lua; the
--   first of the further fields of `call`, where '+' and ms count from now), so it is cancelled where it would be placed
local run = prefix .. ':runs:' .. key
-- Common: it is due, its key is free, nobody has struck anything. Each argument, function and command more is paid for by every
-- task, so this comes before all that, and sends what lib/place.lua does.
if how == '' and call[5] == '1' and redis.call('EXISTS', run, prefix .. ':strikes') == 0 then
  local moment, task, args, kwargs = call[1], call[2], call[3], call[4]
  local id = redis.call('XADD', stream, '*', 'key', key, 'when', moment, 'function', task, 'args', args, 'kwargs', kwargs,
    'attempt', '1', 'generation', '1', unpack(call, 6))
  if ttl == '-' then
    redis.call('HSET', run, 'state', 'queued', 'stream_id', id, 'generation', '1', 'when', when, 'known', when,
      'function', task, 'args', args, 'kwargs', kwargs)
  else
    redis.call('HSET', run, 'state', 'queued', 'stream_id', id, 'generation', '1', 'when', when, 'known', when,
      'function', task, 'args', args, 'kwargs', kwargs, 'ttl', ttl)
  end
  redis.call('PUBLISH', prefix .. ':state:' .. key, state_event)
  return 'OK 1'
end
-- USE group how_placed ack known_strikes place_call
local due, replace, rescheduled, expected, known_strikes, key_queue, child_of, expired = how_placed(prefix, how)
-- Seldom has anybody struck anything, or is a key used again: then one command finds out both.
local is_used = known_strikes ~= '' or redis.call('EXISTS', run, prefix .. ':strikes') > 0
if is_used then
  if not knows_strikes(prefix, known_strikes) then return 'STRIKES 0' end
  is_used = redis.call('EXISTS', run) == 1
end
local children = child_of ~= '' and prefix .. ':group:' .. child_of
if children then
  local group_is = redis.call('ZSCORE', children, '')
  if group_is ~= '-5' and group_is ~= '3' then return 'CLOSED 0' end       -- I12
  if redis.call('ZADD', children, 'NX', 2, key) == 0 then return 'MEMBER 0' end
end
if rescheduled ~= '' then ack(stream, group, rescheduled) end
local function placed()
  return place_call(prefix, stream, group, key, key_queue, is_used, replace, rescheduled, expected, when, due, state_event, ttl,
    children and child_of, call, expired)
end
if not children then return (placed()) end
local ok, reply, is_placed = pcall(placed)
if not is_placed then redis.call('ZREM', children, key) end  -- it is not waited for
if not ok then error(reply, 0) end
return reply
