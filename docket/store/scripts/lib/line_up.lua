-- What lines deliveries of paused tasks up instead of claiming them: each goes to the end of the row of its task, and is
-- acknowledged (I1). The row is that of a limit without room (lib/slots.lua), so what waits there is cancelled, replaced, cleared and seen like
-- every waiter, and only a resume takes it out. It returns whether it has lined one up. A run that was asked to stop is not: its
-- claim finds that out. One that has begun before, on a worker that is gone, does not expire any more. `times` is how often it was delivered; deliveries that did not end are counted on. `over` as in
-- lib/settle.lua.
local function liner_up(prefix, stream, group, paused, over)
  -- USE ack carry events forget numbers running slots
  local lib, rows = limits_lib(), {}
  local site = lib.site_of(prefix, stream, prefix .. ':wake')
  local function row_of(task)
    local limit = {name = prefix .. ':ops:pause:' .. task .. ':', most = 0, lease = 0}
    lib.index(site, limit, 'HSETNX')
    redis.call('SADD', prefix .. ':waiting', limit.name)
    return limit.name .. ':waiters'
  end
  return function(id, key, generation, fields, times)
    local task
    for at = 1, #fields, 2 do
      if fields[at] == 'function' then task = fields[at + 1] end
    end
    task = task and paused[task] and task or paused['*'] and '*'
    if not task then return false end
    local run = prefix .. ':runs:' .. key
    local now = redis.call('HMGET', run, 'generation', 'admitted', 'cancel_requested', 'reserved', 'state')
    if now[3] and now[3] == (now[1] or '0') then return false end
    local kept, following, before = {}, whole(now[1]) or 0, nil
    for at = 1, #fields, 2 do
      local name, value = fields[at], fields[at + 1]
      if name == 'generation' then following = math.max(following, whole(value) or 0)
      elseif name == 'docket:unknown' then before = value
      elseif name == 'docket:expires' and now[5] == 'running' then redis.call('HDEL', run, 'expires')
      else kept[#kept + 1], kept[#kept + 2] = name, value end
    end
    following = string.format('%d', following + 1)
    kept[#kept + 1], kept[#kept + 2] = 'generation', following
    if before or times > 1 then
      local put_back, unended = string.match(before or '0 0 0', '^(%d+ %d+) (%d+)$')
      local counted = put_back and put_back .. ' ' .. string.format('%d', (whole(unended) or 0) + times - 1)
      kept[#kept + 1], kept[#kept + 2] = 'docket:unknown', counted or before
    end
    forget(prefix .. ':progress:' .. key, over)
    rows[task] = rows[task] or row_of(task)
    local entry = redis.call('XADD', rows[task], '*', unpack(carry(kept)))
    redis.call('HSET', run, 'state', 'scheduled', 'generation', following, 'known', site.now, 'waiter_stream', rows[task],
      'waiter_entry_id', entry)
    if now[2] and now[2] == now[1] then redis.call('HSET', run, 'admitted', following) end
    leave_running(run, 'stream_id')
    ack(stream, group, id)
    redis.call('PUBLISH', prefix .. ':state:' .. key, event_of(key, 'scheduled'))
    if now[4] and string.match(now[4], '^(%d+) ') == generation then lib.forget(site, key, now[4]) end   -- it needs no slot now
    return true
  end
end
