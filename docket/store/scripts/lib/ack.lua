-- I1: the caller writes in the same script what happens next.
local function ack(stream, group, id)
  redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
end
-- Whether `holder` is the consumer that an unacknowledged entry was last delivered to.
local function holds(stream, group, holder, id)
  local pending = redis.call('XPENDING', stream, group, id, id, 1)
  return pending[1] ~= nil and pending[1][2] == holder
end
