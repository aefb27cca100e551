-- I1: the same script writes what happens next.
-- USE stream_of
local function ack(stream, group, id)
  stream = stream_of(stream, id)
  redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
end
