-- Levels. Normal tasks are on the stream of the docket; each other level has a lane, a stream of its own, `{prefix}:ops:lane:{level}`.
-- The field `docket:lane` of a message says its level. An id of a lane tells which it is: its second number has fifteen digits, of which the
-- first is that of the lane (no server gives such a number by itself), so no two deliveries of a docket have the same id.
local lanes_by_digit, digits_by_lane = {['1'] = 'high', ['2'] = 'low'}, {high = 1, low = 2}
local function lane_named(stream, level) return string.sub(stream, 1, -7) .. 'ops:lane:' .. level end
