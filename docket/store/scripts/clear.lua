-- Cancel up to `limit` waiting tasks; running tasks go on.
-- KEYS stream queue reserved_queue
-- ARGV prefix group completed_at ttl_ms limit start wake_channel
-- REPLY {cancelled, where to go on in the streams ('<level> <id>' in a lane), or '' where all is done}
-- USE ack lanes turns events finish slots ending kept failures kin expiring successor
local count, left, last, kept, lib = 0, tonumber(limit), '', {}, limits_lib()   -- `left`: how much this step may still look at
local site = lib.site_of(prefix, stream, wake_channel)
local successors = successor_lib(prefix)
local function cancel(key)
  local run = prefix .. ':runs:' .. key
  local now = redis.pcall('HMGET', run, 'reserved', 'ttl', 'noted', 'group', 'groups', 'expires', 'successor')
  local progress, channel = prefix .. ':progress:' .. key, prefix .. ':state:' .. key
  local event = event_of(key, 'cancelled', ',"completed_at":"' .. completed_at .. '"')
  if now.err then                                              -- what is no record is not ours to change (I9)
    redis.call('DEL', progress)
    redis.call('PUBLISH', channel, event)
  else
    if now[1] then kept[#kept + 1] = {key, now[1]} end
    end_run(run, progress, kept_for(now[2], ttl_ms), {'state', 'cancelled', 'completed_at', completed_at}, channel, event)
    if now[3] then failures_lib(prefix).try('give_up', key) end
    if now[4] or now[5] then end_in_groups(prefix, key, 'cancelled', now[4], now[5]) end
    if now[6] then expiring_lib(prefix).forget(run, key) end
    if now[7] then successors.drop(key, now[7]) end
  end
  count = count + 1
end
-- First, since the ends of those that wait would place them: what is to run once more after what has begun.
for _, key in ipairs(redis.pcall('ZRANGE', prefix .. ':ops:successors', 0, left - 1)) do
  local successor = redis.pcall('HGET', prefix .. ':runs:' .. key, 'successor')
  if type(successor) == 'string' and successors.drop(key, successor) then count = count + 1
  else successors.forget(key) end
  left = left - 1
end
for _, waiting in ipairs({queue, reserved_queue}) do
  local shelf = waiting == queue and prefix or reserved_queue
  for _, key in ipairs(left > 0 and redis.call('ZRANGE', waiting, 0, left - 1) or {}) do
    redis.call('DEL', shelf .. ':' .. key)
    redis.call('ZREM', waiting, key)
    cancel(key)
    left = left - 1
  end
end
local turns = turns_lib(stream)
local name = left > 0 and redis.call('SRANDMEMBER', prefix .. ':waiting')
while name do
  local level = turns.level_of(name)
  local in_turns = level and turns.first_row(level)
  local waiters = in_turns or name .. ':waiters'
  local row = redis.pcall('XRANGE', waiters, '-', '+', 'COUNT', left)
  for _, entry in ipairs(row) do
    left = left - 1
    local key
    for f = 1, #entry[2], 2 do
      if entry[2][f] == 'key' then key = entry[2][f + 1] end
    end
    local now = key and redis.pcall('HMGET', prefix .. ':runs:' .. key, 'state', 'waiter_entry_id')
    if now and now[1] == 'scheduled' and now[2] == entry[1] then cancel(key) end
    if in_turns then turns.leave(waiters, entry[1]) else redis.call('XDEL', waiters, entry[1]) end
  end
  if in_turns then
    if row.err or #row == 0 then turns.leave(waiters, '0-1') end   -- this is no row, and goes
    left = left - 1
  elseif row.err then                                              -- nobody waits in what is no stream (I9)
    redis.call('SREM', prefix .. ':waiting', name)
    left = left - 1
  elseif redis.call('XLEN', waiters) == 0 then
    redis.call('DEL', waiters)
    local packed = redis.call('HGET', prefix .. ':limits', name)
    if packed then lib.wake(site, lib.limits_of(packed)) end
    redis.call('SREM', prefix .. ':waiting', name)
    left = left - 1
  end
  name = left > 0 and redis.call('SRANDMEMBER', prefix .. ':waiting')
end
local function free_reserved()
  for _, one in ipairs(kept) do lib.forget(site, one[1], one[2]) end
end
if left <= 0 then
  free_reserved()
  return {count, start}
end
local level, from = string.match(start, '^([%a-]+) (.*)$')
local lane = level and lane_named(stream, level) or stream
local entries = redis.call('XRANGE', lane, from or start, '+', 'COUNT', limit)
for _, entry in ipairs(entries) do
  local id, fields, key, generation = entry[1], entry[2], nil, 0
  for f = 1, #fields, 2 do
    if fields[f] == 'key' then key = fields[f + 1]
    elseif fields[f] == 'generation' then generation = tonumber(fields[f + 1]) or 0 end
  end
  if key then
    local now = redis.pcall('HMGET', prefix .. ':runs:' .. key, 'state', 'generation')
    local state, live = now[1], tonumber(now[2])
    -- An entry of an older generation belongs to a run that was replaced and goes on; the claim refuses the others.
    if not state or (state == 'queued' and (generation == 0 or not live or generation == live)) then
      ack(stream, group, id)
      cancel(key)
      turns.follow(id)                                         -- somebody may have come into a row meanwhile
    end
  end
  last = '(' .. id
end
free_reserved()
if #entries == tonumber(limit) then return {count, level and level .. ' ' .. last or last} end
for digit = (digits_by_lane[level] or 0) + 1, #lane_levels do   -- what is in another lane is looked at in the next step
  local following = lane_levels[digit]
  if redis.pcall('XLEN', lane_named(stream, following)) ~= 0 then return {count, following .. ' -'} end
end
publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
return {count, ''}
