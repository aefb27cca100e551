-- Decide whether a claimed run may begin: by all rules of its task together, and it takes what all of them ask, or nothing.
-- KEYS run stream progress queue reserved_queue
-- ARGV message_id generation claim holder group key redelivered prefix state_channel state_event wake_channel limits rules...
-- REPLY {'ADMITTED'} | {'PARKED', name of the limit} | {'DEFERRED', ms} | {'DROPPED', name of the rule} | {'CANCELLED'} |
--   {'SUPERSEDED'} | {'LOST'}. PARKED is written and acknowledged; after DEFERRED, DROPPED and CANCELLED nothing is held,
--   and the caller settles. `rules` are in sixes: 'rate' name moments most window_ms drop; 'cooldown' name '' '' window_ms
--   ''; 'debounce' winner last_seen '' settle_ms ''.
-- USE ack fence running finish slots alive expiring
local lib = limits_lib()
local site = lib.site_of(prefix, stream, wake_channel)
local live = check_fence(run, stream, group, message_id, generation, claim, holder)
if live ~= 'LIVE' then
  if live == 'SUPERSEDED' then lib.release(site, limits, key, message_id, generation) end
  publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  return {live}
end
local ms = math.floor(site.now * 1000)
local all = lib.limits_of(limits)
local record = redis.call('HMGET', run, 'reserved', 'admitted', 'cancel_requested')
local reserved = record[1]
local has_waited = reserved and string.match(reserved, '^(%d+) ') == generation
if record[2] == generation and generation ~= '0' then rules = {} end   -- redelivered or handed back: it has passed
local entry = redis.call('XRANGE', stream_of(stream, message_id), message_id, message_id)[1]
local function refused(...)
  lib.release(site, limits, key, message_id, generation, reserved)
  return {...}
end
if not entry then
  redis.call('XACK', stream_of(stream, message_id), group, message_id) -- somebody trimmed the stream
  return refused('LOST')
end
if record[3] == generation then return refused('CANCELLED') end

-- When a message expires that has not begun. One that was redelivered may have, and does not expire any more.
local function expiry_of(fields)
  local lib_of = #fields > 14 and expiring_lib(prefix)
  local at = lib_of and lib_of.find(fields, 1)
  if not at then return end
  if redelivered ~= '1' then return fields[at] end
  table.remove(fields, at)
  table.remove(fields, at - 1)
end

-- First what drops or defers, since a run that has to wait for a slot is admitted later, or never.
local wait, settled, marks = 0, true, {}                        -- `marks`: what is written once it is admitted
local longest = 36525 * 86400000                                -- docket.moments; scores of others may be anything
local function rate(name, moments, most, window, drop)
  redis.call('ZREMRANGEBYSCORE', name, '-inf', ms - window)
  redis.call('ZREMRANGEBYSCORE', moments, '-inf', ms - window)   -- their runs did not come
  local used, mine = redis.call('ZCARD', name), tonumber(redis.call('ZSCORE', moments, key))
  local ahead = mine and 0 or redis.call('ZCARD', moments)
  if used + ahead >= most or (mine and mine > ms) then
    if drop == '1' then return 'DROPPED' end
    -- Run number n begins a window after run number n - most, of those that ran and those with a moment.
    if not mine or mine <= ms then
      local from, nth = name, most - ahead
      if ahead >= most then from, nth = moments, most end
      mine = tonumber(redis.call('ZRANGE', from, -nth, -nth, 'WITHSCORES')[2]) + window
      redis.call('ZADD', moments, mine, key)
      redis.call('PEXPIRE', moments, math.min(math.ceil(mine - ms), longest) + 2 * window)
    end
    wait = math.max(wait, math.min(math.ceil(mine - ms), longest), 1)
  end
  marks[#marks + 1] = function()
    redis.call('ZREM', moments, key)
    redis.call('ZADD', name, ms, key .. ':' .. string.format('%d', ms))
    redis.call('PEXPIRE', name, 2 * window)
  end
end
local function cooldown(name, _, _, window)
  if redis.call('GET', name) then return 'DROPPED' end
  marks[#marks + 1] = function() redis.call('SET', name, 1, 'PX', window) end
end
local function debounce(winner, last_seen, _, settle)
  local first, left = redis.call('GET', winner), settle
  if first and first ~= key
    and not is_alive(prefix .. ':runs:' .. first, first, stream, group, queue, reserved_queue) then first = nil end
  if first == key then
    local last = tonumber(redis.call('GET', last_seen))
    if not (last and last <= ms) then                            -- evicted, or nonsense: it settles from now on
      last = ms
      redis.call('SET', last_seen, ms, 'PX', 10 * settle)
    end
    left = last + settle - ms
  elseif first then
    redis.call('SET', last_seen, ms, 'PX', 10 * settle)
    redis.call('PEXPIRE', winner, 10 * settle)
    return 'DROPPED'
  elseif has_waited then
    left = 0                                                   -- it had settled when it began to wait for a slot
  else
    redis.call('SET', winner, key, 'PX', 10 * settle)
    redis.call('SET', last_seen, ms, 'PX', 10 * settle)
  end
  wait = math.max(wait, left)
  marks[#marks + 1] = function() redis.call('DEL', winner, last_seen) end
end
local kinds = {rate = rate, cooldown = cooldown, debounce = debounce}
local function turn_of(at)                                      -- what can drop it comes before what writes
  return rules[at] == 'debounce' and 2 or rules[at] == 'rate' and rules[at + 5] ~= '1' and 3 or 1
end
for turn = 1, 3 do
  for at = 1, #rules, 6 do
    if turn_of(at) == turn and (turn < 3 or settled) then
      local no = kinds[rules[at]](rules[at + 1], rules[at + 2], tonumber(rules[at + 3]), tonumber(rules[at + 4]),
        rules[at + 5])
      if no then return refused(no, rules[at + 1]) end
    end
  end
  if wait > 0 and turn == 2 then settled = false end
end
if wait > 0 then
  for at = 1, #rules, 6 do
    if rules[at] == 'debounce' and redis.call('GET', rules[at + 1]) == key then   -- to find them again
      redis.call('PEXPIRE', rules[at + 1], wait + 10 * rules[at + 4])
      redis.call('PEXPIRE', rules[at + 2], wait + 10 * rules[at + 4])
    end
  end
  return refused('DEFERRED', math.ceil(wait))
end

-- Then the slots. A run that has not waited does not overtake those that wait.
local kept, was_packed = lib.without_limits(entry[2])
local full
for _, limit in ipairs(all) do
  local owner = redis.call('HGET', limit.name .. ':owners', key)
  local taken = redis.call('ZSCORE', limit.name, key)
  if taken and (owner == message_id or (redelivered == '1' and not owner)) then
    limit.mine = true
  else
    local room = lib.has_room(site, limit)
    if has_waited and redis.call('ZSCORE', limit.name .. ':woken', key) then
      room = redis.call('ZCARD', limit.name) < limit.most      -- pydocket's workers do not know what is reserved for ours
    elseif room and not was_packed and redis.call('EXISTS', limit.name .. ':waiters') == 1 then
      room = false
    end
    if taken and redis.call('ZSCORE', limit.name, key) then room = false end   -- an older run of this key has it
    if not room then
      full = limit
      break
    end
  end
end
if full then
  for at = 1, #kept, 2 do
    if kept[at] == 'generation' then kept[at + 1] = generation + 1 end
  end
  local expires = expiry_of(kept)
  kept[#kept + 1], kept[#kept + 2] = 'docket:limits', limits
  redis.call('DEL', progress)                                  -- first: a full server accepts writes once memory is freed
  lib.enqueue(site, run, full, kept, 'HSET')
  redis.call('HSET', run, 'state', 'scheduled', 'generation', generation + 1, 'known', site.now)
  if record[2] == generation then redis.call('HSET', run, 'admitted', generation + 1) end
  leave_running(run, 'reserved')
  if expires then expiring_lib(prefix).note(run, key, expires) end
  ack(stream, group, message_id)                               -- I1
  redis.call('PUBLISH', state_channel, state_event)
  lib.release(site, limits, key, message_id, generation, reserved)
  return {'PARKED', full.name}
end
for _, limit in ipairs(all) do
  local owners = limit.name .. ':owners'
  redis.call('ZADD', limit.name, site.now, key)
  redis.call('HSET', owners, key, message_id)
  redis.call('PEXPIRE', limit.name, math.max(1000, 4 * limit.lease))
  redis.call('PEXPIRE', owners, math.max(1000, 4 * limit.lease))
  if has_waited then redis.call('ZREM', limit.name .. ':woken', key) end
  lib.index(site, limit, 'HSET')
end
for _, mark in ipairs(marks) do mark() end
if has_waited then redis.call('HDEL', run, 'reserved') end
if #rules > 0 then redis.call('HSET', run, 'admitted', generation) end
return {'ADMITTED'}
