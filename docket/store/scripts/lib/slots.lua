-- Concurrency limits. `{limit}` is a zset of the slots that are taken: task key, moment of the last renewal (wire).
-- `{limit}:owners` says which delivery has taken each, `{limit}:woken` for which keys a slot is reserved that are on their
-- way from the waiters to a worker, `{limit}:waiters` is the stream of the tasks that wait (wire). `{prefix}:limits` lists
-- the limits in use, `{prefix}:waiting` those with waiters. When a script ends, no task waits for a limit that has room, or
-- the limit was published on the wake channel.
-- `site` is {prefix =, stream =, channel =, now = epoch seconds, steps = how many waiters this script has looked at,
-- pruned = {[limit] = true}}.
-- All of it is made only where a script needs it: most runs have no limits.
local function limits_lib()
  -- USE errors events queued stream_of
  local function site_of(prefix, stream, channel)
    local time = redis.call('TIME')
    return {prefix = prefix, stream = stream, channel = channel, now = time[1] + time[2] / 1000000, steps = 0, pruned = {}}
  end
  -- I9: anybody may have written the names of limits. A worker may be allowed more keys than the docket's; it is to write
  -- none of these for somebody who may not.
  local function is_ours(name) return string.sub(name, 1, #prefix + 1) == prefix .. ':' end
  -- Limits travel as one text: '{lease in ms} ', then for each limit '{most}:{length of its name}:{name}'.
  local function limits_of(packed)
    local limits = {}
    local lease, at = string.match(packed, '^(%d+) ()')
    local seen = 0
    while at and #lease <= 15 and seen < 100 do                   -- anybody may have written them (I9)
      local most, length, start = string.match(packed, '^(%d+):(%d+):()', at)
      if not most or #most > 15 or #length > 15 then return limits end
      at, seen = start + length, seen + 1
      local name = string.sub(packed, start, at - 1)
      if is_ours(name) then limits[#limits + 1] = {name = name, most = tonumber(most), lease = tonumber(lease)} end
    end
    return limits
  end
  -- Lua's own `%s` ends at a NUL, which names may have.
  local function packed_of(limit)
    return string.format('%d %d:%d:', limit.lease, limit.most, #limit.name) .. limit.name
  end
  -- I9: a name of this one limit holds something else. The tasks that wait for it are woken, and admit.lua raises for a
  -- task that is to begin under it; whatever else there is to do about this limit is left out. All other limits go on.
  local function unless_foreign(act, ...)
    local ok, problem = pcall(act, ...)
    local known = not ok and (string.find(error_text(problem), 'WRONGTYPE') or string.find(error_text(problem), 'Invalid stream ID'))
    if not ok and not known then error(problem, 0) end
  end
  -- `how`: HSET where a task has just declared the limit, HSETNX where the declaration is as old as its waiting.
  local function index(site, limit, how)
    redis.call(how, site.prefix .. ':limits', limit.name, packed_of(limit))
  end
  -- Free the slots that are reserved for tasks that will not take them: they were cancelled, replaced or trimmed from the
  -- stream, or have their slot already.
  local function prune_woken(site, limit)
    local woken = limit.name .. ':woken'
    if site.pruned[limit.name] then return end                   -- once per script is enough
    site.pruned[limit.name] = true
    for _, key in ipairs(redis.call('ZRANGE', woken, 0, 63)) do
      local run = redis.pcall('HMGET', site.prefix .. ':runs:' .. key, 'state', 'generation', 'reserved', 'stream_id', 'claim')
      local coming = (run[1] == 'queued' or run[1] == 'running') and run[3]
        and string.match(run[3], '^(%d+) ') == run[2] and not redis.call('ZSCORE', limit.name, key)
      local entry = coming and (run[4] or run[5] and string.match(run[5], '^(%d+%-%d+)%.'))
      if entry then coming = #redis.pcall('XRANGE', stream_of(site.stream, entry), entry, entry) > 0 end
      if not coming then redis.call('ZREM', woken, key) end
    end
  end
  local function has_room(site, limit)
    local woken = limit.name .. ':woken'
    redis.call('ZREMRANGEBYSCORE', limit.name, '-inf', site.now - limit.lease / 1000)
    if redis.call('ZCARD', limit.name) + redis.call('ZCARD', woken) < limit.most then return true end
    prune_woken(site, limit)
    return redis.call('ZCARD', limit.name) + redis.call('ZCARD', woken) < limit.most
  end
  local function remove_entry(waiters, id)
    redis.call('XDEL', waiters, id)
    if redis.call('XLEN', waiters) == 0 then redis.call('DEL', waiters) end
  end
  -- Put a message at the end of the row that waits for `limit`. What may be refused comes first, before the run is written.
  local function enqueue(site, run, limit, fields, how)
    local waiters = limit.name .. ':waiters'
    index(site, limit, how)
    redis.call('SADD', site.prefix .. ':waiting', limit.name)
    local id = redis.call('XADD', waiters, '*', unpack(fields))
    redis.call('HSET', run, 'waiter_stream', waiters, 'waiter_entry_id', id)
  end
  -- The fields of a message without the limits that were added to it; and those limits, if it has any.
  local function without_limits(fields)
    local kept, packed = {}, nil
    for at = 1, #fields, 2 do
      if fields[at] == 'docket:limits' then packed = fields[at + 1]
      else kept[#kept + 1], kept[#kept + 2] = fields[at], fields[at + 1] end
    end
    return kept, packed
  end
  local function admits(site, limit)
    local room = true
    unless_foreign(function() room = has_room(site, limit) end)
    return room
  end
  -- Wake, move or remove the first waiter of a limit that has room. False: it has to go on waiting here.
  local function wake_first(site, limit, entry)
    local waiters, id, fields = limit.name .. ':waiters', entry[1], entry[2]
    local kept, packed = without_limits(fields)
    local key, at_generation, generation = '', nil, ''
    for at = 1, #kept, 2 do
      if kept[at] == 'key' then key = kept[at + 1]
      elseif kept[at] == 'generation' then at_generation, generation = at + 1, kept[at + 1] end
    end
    local run = site.prefix .. ':runs:' .. key
    local now = redis.pcall('HMGET', run, 'state', 'generation', 'waiter_entry_id', 'admitted')
    if not at_generation or now[1] ~= 'scheduled' or now[2] ~= generation or (now[3] and now[3] ~= id) then
      remove_entry(waiters, id)                                  -- cancelled or replaced by pydocket
      return true
    end
    local all = packed and limits_of(packed) or {limit}
    if #all == 0 then all, packed = {limit}, nil end
    for _, one in ipairs(all) do
      local has_it = false
      unless_foreign(function() has_it = redis.call('ZSCORE', one.name, key) end)
      if has_it or (one.name ~= limit.name and not admits(site, one)) then
        if one.name == limit.name then return false end          -- an older run of this key has the slot
        enqueue(site, run, one, fields, 'HSETNX')                -- it leaves this row once it is in the other
        remove_entry(waiters, id)
        return true
      end
    end
    packed = packed or packed_of(limit)
    for _, one in ipairs(all) do
      unless_foreign(redis.call, 'ZADD', one.name .. ':woken', site.now, key)
      index(site, one, 'HSETNX')
    end
    local counted = #generation <= 15 and tonumber(generation)
    generation = counted and counted + 1 or generation           -- else the worker that reads it sets it aside
    kept[at_generation] = generation
    put_on_stream(redis.call, site.stream, run, kept, 'generation', generation, 'known', site.now,
      'reserved', generation .. ' ' .. packed)
    remove_entry(waiters, id)
    redis.call('HDEL', run, 'waiter_stream', 'waiter_entry_id')
    if now[4] == now[2] then redis.call('HSET', run, 'admitted', generation) end   -- it had begun, and lost its slot
    if redis.call('ZREM', site.prefix .. ':queue', '__safeguard__:' .. key) == 1 then   -- pydocket's, if it parked it
      redis.call('DEL', site.prefix .. ':__safeguard__:' .. key, site.prefix .. ':runs:__safeguard__:' .. key)
    end
    redis.call('PUBLISH', site.prefix .. ':state:' .. key, event_of(key, 'queued'))
    return true
  end
  local function wake_one(site, limit)
    local waiters, entry, waits = limit.name .. ':waiters', nil, true
    while waits do
      entry = redis.call('XRANGE', waiters, '-', '+', 'COUNT', 1)[1]
      waits = entry and admits(site, limit)
      if waits and site.steps >= 25 then
        redis.call('PUBLISH', site.channel, 'limit ' .. limit.name)   -- a worker goes on with it
        break
      end
      waits = waits and wake_first(site, limit, entry)
      site.steps = site.steps + 1
    end
    if not entry then
      redis.call('SREM', site.prefix .. ':waiting', limit.name)
      if redis.call('ZCARD', limit.name) == 0 and redis.call('ZCARD', limit.name .. ':woken') == 0 then
        redis.call('HDEL', site.prefix .. ':limits', limit.name)
        if redis.call('HLEN', limit.name .. ':owners') > 0 then redis.call('DEL', limit.name .. ':owners') end
      end
    end
  end
  -- Wake the tasks that wait for these limits, in their order, while there is room; a bounded number of them per script.
  local function wake(site, limits)
    for _, limit in ipairs(limits) do unless_foreign(wake_one, site, limit) end
  end
  -- Free what is reserved for a woken task that does not run after all; `reserved` is the field of its run.
  local function forget(site, key, reserved)
    local limits = limits_of(string.match(reserved, '^%d+ (.*)$') or '')
    for _, limit in ipairs(limits) do unless_foreign(redis.call, 'ZREM', limit.name .. ':woken', key) end
    redis.call('HDEL', site.prefix .. ':runs:' .. key, 'reserved')
    wake(site, limits)
  end
  -- Give back the slots that a delivery has taken, and what is reserved for its run, if that is of its generation.
  local function release(site, packed, key, id, generation, reserved)
    if reserved and string.match(reserved, '^(%d+) ') == generation then forget(site, key, reserved) end
    local limits = limits_of(packed)
    for _, limit in ipairs(limits) do
      unless_foreign(function()
        local owners = limit.name .. ':owners'
        if redis.call('HGET', owners, key) == id then
          redis.call('HDEL', owners, key)
          redis.call('ZREM', limit.name, key)
        end
      end)
    end
    wake(site, limits)
  end
  -- Take an entry from the row `{limit}:waiters`.
  local function unqueue(site, waiters, id)
    if not is_ours(waiters) then return end
    unless_foreign(remove_entry, waiters, id)
    local name = string.gsub(waiters, ':waiters$', '')
    local packed = redis.call('HGET', site.prefix .. ':limits', name)
    if packed then wake(site, limits_of(packed)) end
  end
  return {
    site_of = site_of, limits_of = limits_of, index = index, prune_woken = prune_woken,
    has_room = has_room, unless_foreign = unless_foreign, enqueue = enqueue, without_limits = without_limits, wake = wake,
    forget = forget, release = release, unqueue = unqueue,
  }
end
