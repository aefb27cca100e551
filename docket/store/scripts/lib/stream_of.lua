-- The stream on which a delivery of this id is. Most are on that of the docket, of which the ids are shorter than those of lanes (thirteen digits of
-- milliseconds, from 2001 on, and fifteen).
local function stream_of(stream, id)
  if #id < 25 then return stream end
  -- USE lanes
  local level = lane_levels[tonumber(string.match(id, '^%d+%-(%d)%d%d%d%d%d%d%d%d%d%d%d%d%d%d$') or 0)]
  return level and lane_named(stream, level) or stream
end
