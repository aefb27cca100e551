-- Levels. Normal tasks are on the stream of the docket; each other level has a lane, a stream of its own, `{prefix}:ops:lane:{level}`.
-- The field `docket:lane` of a message says its level. An id of a lane tells which it is: its second number has fifteen digits, of which the
-- first is that of the lane (no server gives such a number by itself), so no two deliveries of a docket have the same id. What has been drawn
-- in its turn (lib/turns.lua) has a lane beside that of its level.
local lane_levels, digits_by_lane = {'high', 'low', 'high-turns', 'normal-turns', 'low-turns'}, {}   -- by their digits, and these
for digit, level in ipairs(lane_levels) do digits_by_lane[level] = digit end
local function lane_named(stream, level) return string.sub(stream, 1, -7) .. 'ops:lane:' .. level end
local function lanes_of(stream)
  local lanes = {}
  for digit, level in ipairs(lane_levels) do lanes[digit] = lane_named(stream, level) end
  return lanes
end
