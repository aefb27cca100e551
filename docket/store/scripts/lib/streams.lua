-- The streams of a docket that are there, by their levels.
-- USE lanes stream_of
local function streams_of(stream)
  local streams, lanes = {normal = stream}, {}
  for level in pairs(digits_by_lane) do lanes[#lanes + 1] = lane_named(stream, level) end
  if redis.call('EXISTS', unpack(lanes)) == 0 then return streams end   -- as on most dockets
  for level in pairs(digits_by_lane) do
    local lane = lane_named(stream, level)
    if redis.call('EXISTS', lane) == 1 then streams[level] = lane end
  end
  return streams
end
-- The same ids, by the streams on which they are.
local function by_stream(stream, ids)
  local apart = {}
  for _, id in ipairs(ids) do
    local name = stream_of(stream, id)
    apart[name] = apart[name] or {}
    local some = apart[name]
    some[#some + 1] = id
  end
  return apart
end
