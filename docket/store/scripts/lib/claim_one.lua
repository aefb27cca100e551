-- Other clients cancel and replace a woken task without giving back the slots that are reserved for it; and they cancel without
-- knowing of groups.
-- USE events numbers ack holds stream_of errors forget slots line_up kin drop_successor
local function forget_refused(prefix, stream, key, generation, is_cancelled)
  local now = redis.call('HMGET', prefix .. ':runs:' .. key, 'reserved', 'group', 'groups', 'successor')
  local reserved = now[1]
  if is_cancelled and (now[2] or now[3]) then end_in_groups(prefix, key, 'cancelled', now[2], now[3]) end
  if is_cancelled and now[4] then drop_successor(prefix, key, now[4]) end
  if reserved and string.match(reserved, '^(%d+) ') == generation then
    local lib = limits_lib()
    lib.forget(lib.site_of(prefix, stream, prefix .. ':wake'), key, reserved)
  end
end
-- I2: whether another entry is that of the key, by its record: the one that waits, or one that a worker has. Then this one is a copy that
-- somebody has written beside it, and whoever claimed it would take the key from what runs. `now` as in `one`.
local function is_copy(stream, group, id, now)
  local other = now[2] == 'queued' and now[5] or string.match(now[3] or '', '^(.*)%.%d+$')
  if other == id or not entry_id(other) then return false end
  if now[2] == 'running' and not holds(stream, group, nil, other) then return false end
  return redis.call('XRANGE', stream_of(stream, other), other, other)[1] ~= nil
end
-- What lib/expiring.lua makes, for those that expire.
local function expiry_of(prefix)
  -- USE expiring
  return expiring_lib(prefix)
end
-- What claims deliveries for one worker at one moment: {one =, try =, entry =}. What is the same for all of them is made once.
-- `asked` names the request that brought them, '' where requests have no names. A run has no progress until it reports some;
-- names under which earlier ones may have left theirs go to `over`, as in lib/settle.lua. `paused` are the tasks that are paused
-- (lib/pauses.lua); whoever gives it gives the fields of each entry, too.
local function claimer(prefix, stream, group, worker, started_at, asked, over, paused)
  local runs, states, progresses = prefix .. ':runs:', prefix .. ':state:', prefix .. ':progress:'
  local how = ',"worker":' .. json(worker) .. ',"started_at":"' .. started_at .. '"'
  local line_up = paused and liner_up(prefix, stream, group, paused, over)
  local wholes = {}                                            -- generations that are numbers
  -- Claim one delivery, unless a newer generation, another entry or a cancellation took the key from it (then it is acknowledged and
  -- gone). Returns what happened, which claim of this delivery it is, from 1, and the time to live that was given for the task
  -- (lib/kept.lua). With `first` only another process of the same name can have claimed it before (LOST). `fields` and `times`
  -- are those of the entry, and how often it was delivered; `expires` is until when it is to begin, if that is said (lib/expiring.lua):
  -- what has not begun by then is claimed all the same (EXPIRED), for the worker to end.
  local function one(id, key, generation, first, fields, times, expires)
    local run = runs .. key
    local now = redis.call('HMGET', run, 'generation', 'state', 'claim', 'ttl', 'stream_id')
    if now[1] ~= generation then
      local live, mine = whole(now[1]), tonumber(generation)
      if now[1] and not live then error('its record has a generation that is no number', 0) end
      if mine > 0 and (not live or mine < live) then
        ack(stream, group, id)
        forget_refused(prefix, stream, key, generation)
        return 'SUPERSEDED', 0
      end
    end
    if (now[2] == 'running' and now[3] or now[2] == 'queued' and now[5] and now[5] ~= id) and is_copy(stream, group, id, now) then
      ack(stream, group, id)
      return 'SUPERSEDED', 0
    end
    if now[2] == 'cancelled' then
      ack(stream, group, id)
      redis.call('PUBLISH', states .. key, event_of(key, 'cancelled', ',"completed_at":"' .. started_at .. '"'))
      forget_refused(prefix, stream, key, generation, true)
      return 'CANCELLED', 0
    end
    local lib = expires and expiry_of(prefix)
    local expired = lib and lib.is_over(run, now[2], now[3], expires)
    if line_up and fields and not expired and line_up(id, key, generation, fields, times) then return 'PAUSED', 0 end
    local claim, fence, before = 1, id .. '.1', now[3]
    if before and string.sub(before, 1, #id + 1) == id .. '.' then
      local by = first and redis.call('HGET', run, 'asked')
      if by and by ~= asked then return 'LOST', 0 end
      claim = (whole(string.sub(before, #id + 2)) or 0) + 1
      fence = id .. '.' .. claim
    end
    if asked == '' then
      redis.call('HSET', run, 'state', 'running', 'claim', fence, 'worker', worker, 'started_at', started_at)
      redis.call('HDEL', run, 'known', 'stream_id', 'asked')
    else
      redis.call('HSET', run, 'state', 'running', 'claim', fence, 'worker', worker, 'started_at', started_at,
        'asked', asked)
      redis.call('HDEL', run, 'known', 'stream_id')
    end
    forget(progresses .. key, over)
    if expired then
      redis.call('HDEL', run, 'started_at')
      return 'EXPIRED', claim, now[4]
    end
    if lib then lib.forget(run, key) end
    redis.call('PUBLISH', states .. key, event_of(key, 'running', how))
    return 'OK', claim, now[4]
  end
  -- I9: what is wrong with the keys of one message (a string where the run should be) harms only that message.
  local function try(...)
    local ok, reply, claim, ttl = pcall(one, ...)
    if ok then return reply, claim, ttl or nil end
    if is_refusal(error_text(reply)) then error(reply, 0) end
    return 'BROKEN', error_text(reply)
  end
  -- Claim an entry of the stream, and add to `reply` what a script that reads replies of it (take.lua): one flat list, since a
  -- list within a list takes the server as long as three commands, and of most without what all of these have alike. Returns
  -- whether the claim was refused; I9: an entry without a key is 'UNREADABLE'.
  local function entry(reply, found, times)
    local id, f = found[1], found[2] or {}
    local usual = f[13] == 'generation' and f[11] == 'attempt' and f[9] == 'kwargs' and f[7] == 'args' and f[5] == 'function'
      and f[3] == 'when' and f[1] == 'key' and not f[15]
    local key, generation, expires = f[2], f[14], nil
    if not usual then
      key, generation = nil, '0'
      for at = 1, #f, 2 do
        if f[at] == 'key' then key = f[at + 1] elseif f[at] == 'generation' then generation = f[at + 1]
        elseif f[at] == 'docket:expires' then expires = f[at + 1] end
      end
    end
    wholes[generation] = wholes[generation] or whole(generation)
    local word, claim, ttl = 'UNREADABLE', 0, nil
    if key and wholes[generation] then word, claim, ttl = try(id, key, generation, false, f, times, expires) end
    local at = #reply
    reply[at + 1] = id                                         -- in their order, in which a list grows best
    if usual and times == 1 and claim == 1 then
      reply[at + 2] = 'USUAL'
      reply[at + 3] = ttl or '-'
      for each = 1, 7 do reply[at + 3 + each] = f[2 * each] end
      return
    end
    reply[at + 2] = word
    reply[at + 3] = claim
    reply[at + 4] = times
    reply[at + 5] = ttl or '-'
    reply[at + 6] = #f
    at = at + 6
    for each = 1, #f do reply[at + each] = f[each] end
    return word ~= 'OK' and word ~= 'UNREADABLE' and word ~= 'EXPIRED'
  end
  return {one = one, try = try, entry = entry}
end
