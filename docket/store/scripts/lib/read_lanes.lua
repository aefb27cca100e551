-- Read from the lanes of a worker. `count` has how many at most, and then the levels in their order, each with how many it is owed:
-- '<count> <level>:<owed>...'. First each gets what it is owed, then what is left goes to the first that has something. Returns the
-- entries in the order in which they are to begin, or nil.
local function read_lanes(stream, group, worker, count)
  -- USE lanes turns
  local left, entries, turns = tonumber(string.match(count, '^%d+')), {}, nil
  local function read(level, most)
    if most <= 0 then return end
    local name = level == 'normal' and stream or lane_named(stream, level)
    local of_turns = string.match(level, '^(%a+)%-turns$')
    if of_turns then
      turns = turns or turns_lib(stream)
      turns.top_up(of_turns, most + 1)
    end
    local found = redis.call('XREADGROUP', 'GROUP', group, worker, 'COUNT', most, 'STREAMS', name, '>')
    for _, entry in ipairs(found and found[1][2] or {}) do
      entries[#entries + 1] = entry
      left = left - 1
    end
  end
  for level, owed in string.gmatch(count, '([%a-]+):(%d+)') do read(level, math.min(owed, left)) end
  for level in string.gmatch(count, '([%a-]+):') do read(level, left) end
  return #entries > 0 and entries or nil
end
