-- I1: the caller writes in the same script what happens next.
local function ack(stream, group, id)
  redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
end
-- What an error says that pcall has caught: before Redis 7 it is a string.
local function said(problem) return type(problem) == 'table' and problem.err or tostring(problem) end
-- Whether `holder` is the consumer that an unacknowledged entry was last delivered to; if so, how often it was delivered.
local function holds(stream, group, holder, id)
  local ok, pending = pcall(redis.call, 'XPENDING', stream, group, id, id, 1)
  if not ok then
    if string.find(said(pending), 'NOGROUP') then return false end -- the server has lost everything: nobody holds it
    error(pending, 0)
  end
  return pending[1] ~= nil and pending[1][2] == holder and pending[1][4]
end
