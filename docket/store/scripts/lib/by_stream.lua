-- The same ids, by the streams on which they are.
-- USE stream_of
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
