-- The streams of a docket that are there, by their levels.
-- USE lanes
local function streams_of(stream)
  local streams, lanes = {normal = stream}, lanes_of(stream)
  if redis.call('EXISTS', unpack(lanes)) == 0 then return streams end   -- as on most dockets
  for digit, lane in ipairs(lanes) do
    if redis.call('EXISTS', lane) == 1 then streams[lane_levels[digit]] = lane end
  end
  return streams
end
