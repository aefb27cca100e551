-- Whether `holder` is the consumer that an unacknowledged entry was last delivered to (nil: whether anybody is); if so, how often it
-- was delivered.
-- USE errors stream_of
local function holds(stream, group, holder, id)
  local ok, pending = pcall(redis.call, 'XPENDING', stream_of(stream, id), group, id, id, 1)
  if not ok then
    if string.find(error_text(pending), 'NOGROUP') then return false end   -- the server has lost everything: nobody holds it
    error(pending, 0)
  end
  return pending[1] ~= nil and (holder == nil or pending[1][2] == holder) and pending[1][4]
end
