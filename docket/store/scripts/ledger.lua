-- Write how runs of some tasks have ended: rows for the history of each task, and what a minute and an hour saw of it.
-- KEYS ended_tasks written
-- ARGV prefix batch at_ms history_kept history_ttl_ms most_tasks most_chains group depths_too tasks...
-- REPLY pairs of a task and a key of it that holds something else, where nothing was written (I9); none, too, where the worker wrote this
--   batch before, and the answer was lost
-- Of each of `tasks`: its name ('*' for all of them together), how many rows, and these; how many keys of chains that went on,
-- and these; how many slots, and of each of them
-- 'minutes' or 'hours', the number of its block, how many words, and these: what BITFIELD adds to the block. With
-- depths_too '1' the depths of the docket are noted, too (a worker on memory:// beats only once).
-- USE depths
if redis.pcall('GET', written) == batch then return {} end    -- what else is there is written over
redis.call('SET', written, batch, 'PX', 600000)
local lasts = {minutes = 90000000, hours = 2764800000}       -- 25 hours, 32 days
local rooms = {minutes = prefix .. ':ops:minutes:', hours = prefix .. ':ops:hours:'}
local at, wrong = 1, {}
-- Write to a key of one task; whether that is of the right type. What the server refuses otherwise it refuses again.
local function wrote(name, command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= 'table' or not reply.err then return true end
  if string.sub(reply.err, 1, 9) ~= 'WRONGTYPE' then redis.call(command, key, ...) end
  wrong[#wrong + 1], wrong[#wrong + 2] = name, key
  return false
end
local function take() at = at + 1 return tasks[at - 1] end
while at <= #tasks do
  local name = take()
  local history, rows = prefix .. ':ops:history:' .. name, tonumber(take())
  local is_ours = rows > 0
  for _ = 1, rows do
    local row = take()
    is_ours = is_ours and wrote(name, 'XADD', history, 'MAXLEN', '~', history_kept, '*', 'r', row)
  end
  if is_ours then
    redis.call('XTRIM', history, 'MINID', string.format('%.0f', math.max(0, at_ms - history_ttl_ms)))
    redis.call('PEXPIRE', history, history_ttl_ms)
  end
  local chains, went_on = prefix .. ':ops:chains:' .. name, {}
  for _ = 1, tonumber(take()) do went_on[#went_on + 1], went_on[#went_on + 2] = at_ms, take() end
  if #went_on > 0 and wrote(name, 'ZADD', chains, unpack(went_on)) then
    redis.call('ZREMRANGEBYSCORE', chains, '-inf', string.format('%.0f', at_ms - lasts.hours))
    local over = redis.call('ZCARD', chains) - most_chains
    if over > 0 then redis.call('ZREM', chains, unpack(redis.call('ZRANGE', chains, 0, math.min(over, 1000) - 1))) end
    redis.call('PEXPIRE', chains, lasts.hours)
  end
  for _ = 1, tonumber(take()) do
    local kind = take()
    local block, words = rooms[kind] .. name .. ':' .. take(), tonumber(take())
    if wrote(name, 'BITFIELD', block, 'OVERFLOW', 'SAT', unpack(tasks, at, at + words - 1)) then
      redis.call('PEXPIRE', block, lasts[kind])
    end
    at = at + words
  end
  if name ~= '*' then redis.call('ZADD', ended_tasks, at_ms, name) end
end
redis.call('PEXPIRE', ended_tasks, lasts.hours)
-- The names that have been silent for longest go, with all that is kept of them.
local over = redis.call('ZCARD', ended_tasks) - most_tasks
if over > 0 then
  local hour, day = math.floor(at_ms / 3600000), math.floor(at_ms / 86400000)
  local names = redis.call('ZRANGE', ended_tasks, 0, over - 1)
  for _, name in ipairs(names) do
    local gone = {prefix .. ':ops:history:' .. name, prefix .. ':ops:chains:' .. name}
    for back = -1, 25 do gone[#gone + 1] = rooms.minutes .. name .. ':' .. string.format('%.0f', hour - back) end
    for back = -1, 32 do gone[#gone + 1] = rooms.hours .. name .. ':' .. string.format('%.0f', day - back) end
    redis.call('DEL', unpack(gone))
  end
  redis.call('ZREM', ended_tasks, unpack(names))
end
if depths_too == '1' then note_depths(prefix, group, at_ms) end
return wrong
