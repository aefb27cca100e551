-- Levels. Normal tasks are on the stream of the docket; each other level has a lane, a stream of its own, `{prefix}:ops:lane:{level}`.
-- The field `docket:lane` of a message says its level. An id of a lane tells which it is: its second number has fifteen digits, of which the
-- first is that of the lane (no server gives such a number by itself), so no two deliveries of a docket have the same id. What has been drawn
-- in its turn (lib/turns.lua) has a lane beside that of its level.
local lanes_by_digit = {['1'] = 'high', ['2'] = 'low', ['3'] = 'high-turns', ['4'] = 'normal-turns', ['5'] = 'low-turns'}
local digits_by_lane = {high = 1, low = 2, ['high-turns'] = 3, ['normal-turns'] = 4, ['low-turns'] = 5}
local function lane_named(stream, level) return string.sub(stream, 1, -7) .. 'ops:lane:' .. level end
