-- Read from the lanes of a worker. `count` has how many at most, and then the levels in their order, each with how many it is owed, and what
-- of its turns comes before the rest of it: '<count> <level>:<owed>:<turns>...'. First each gets what it is owed, then what is left goes to the
-- first that has something. `turns` is '-' where nobody takes any, '+' where all do, and else by how many those are behind the others: they have half. Returns the
-- entries in the order in which they are to begin, or nil.
local function read_lanes(stream, group, worker, count)
  -- USE lanes turns
  local left, entries, lib = tonumber(string.match(count, '^%d+')), {}, nil
  local function read(name, most)
    if most <= 0 then return 0 end
    local found = redis.call('XREADGROUP', 'GROUP', group, worker, 'COUNT', most, 'STREAMS', name, '>')
    found = found and found[1][2] or {}
    for _, entry in ipairs(found) do entries[#entries + 1] = entry end
    left = left - #found
    return #found
  end
  local function read_turns(level, most)
    if most <= 0 then return 0 end
    lib = lib or turns_lib(stream)
    lib.top_up(level, most + 1)
    return read(lane_named(stream, level .. '-turns'), most)
  end
  local function read_level(level, most, turns)
    if turns ~= '-' then most = most - read_turns(level, turns == '+' and most or math.floor(most / 2 + turns)) end
    if turns ~= '+' then most = most - read(level == 'normal' and stream or lane_named(stream, level), most) end
    if turns ~= '-' and turns ~= '+' then read_turns(level, most) end
  end
  for level, owed, turns in string.gmatch(count, '(%a+):(%d+):(%S+)') do read_level(level, math.min(owed, left), turns) end
  for level, turns in string.gmatch(count, '(%a+):%d+:(%S+)') do read_level(level, left, turns) end
  return #entries > 0 and entries or nil
end
