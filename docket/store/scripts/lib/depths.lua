-- Note how many tasks are due, are scheduled for later and run: once in a minute, whoever of the fleet comes first. What the
-- user of a worker may not do, and keys of other types, cost the note and nothing else.
-- USE rows streams
-- How many wait for their turns at a level: in the rows of the first 1,000 values all, of each other value one.
local function count_in_rows(prefix, level)
  local turns, most = turns_named(prefix, level), 1000
  local names, count = redis.pcall('ZRANGE', turns, 0, most - 1), 0
  if names.err then return 0 end
  for _, name in ipairs(names) do
    local length = redis.pcall('XLEN', row_named(prefix, level, name))
    if type(length) == 'number' then count = count + length end
  end
  return #names < most and count or count + redis.call('ZCARD', turns) - most
end
local function note_depths(prefix, group, at_ms)
  local minute = math.floor(at_ms / 60000)
  local turn = redis.pcall('SET', prefix .. ':ops:depths-turn', '1', 'NX', 'PX', string.format('%.0f', 60000 - at_ms % 60000))
  if not turn or turn.err then return end
  local block, from = prefix .. ':ops:depths:' .. string.format('%.0f', math.floor(minute / 60)), minute % 60 * 4
  local now, due, later, running = string.format('%.3f', at_ms / 1000), 0, 0, 0
  for lane, name in pairs(streams_of(prefix .. ':stream')) do
    local length, pending = redis.pcall('XLEN', name), redis.pcall('XPENDING', name, group)
    local held = type(pending) == 'table' and not pending.err and pending[1] or 0
    running = running + held
    if type(length) == 'number' then due = due + math.max(0, length - held) end
    -- Whose lane of turns is empty has no rows (the invariant of lib/turns.lua): most dockets are not asked for any.
    local level = length ~= 0 and string.match(lane, '^(%a+)%-turns$')
    if level then due = due + count_in_rows(prefix, level) end
  end
  for _, queue in ipairs({':queue', ':parked'}) do
    local all, ready = redis.pcall('ZCARD', prefix .. queue), redis.pcall('ZCOUNT', prefix .. queue, '-inf', now)
    if type(all) == 'number' and type(ready) == 'number' then due, later = due + ready, later + all - ready end
  end
  local words = {}
  for number, value in ipairs({1, due, later, running}) do
    for _, word in ipairs({'SET', 'u32', '#' .. from + number - 1, value}) do words[#words + 1] = word end
  end
  redis.pcall('BITFIELD', block, 'OVERFLOW', 'SAT', unpack(words))
  redis.pcall('PEXPIRE', block, 90000000)                    -- 25 hours
end
