-- Remove consumers that hold nothing and whose worker is dead.
-- KEYS stream workers
-- ARGV group expiry_ms consumers...
-- REPLY how many were removed; a worker without a heartbeat for `expiry_ms` is dead
-- USE streams
local streams = streams_of(stream)
local removed, oldest = 0, redis.call('TIME')[1] - expiry_ms / 1000
for _, name in ipairs(consumers) do
  local seen = redis.call('ZSCORE', workers, name)
  local lives = seen and tonumber(seen) >= oldest
  -- The server drops what is pending for a consumer with the consumer.
  local holds_any = lives
  for _, each in pairs(streams) do
    holds_any = holds_any or #redis.call('XPENDING', each, group, '-', '+', 1, name) > 0
  end
  if not holds_any then
    for _, each in pairs(streams) do redis.call('XGROUP', 'DELCONSUMER', each, group, name) end
    removed = removed + 1
  end
end
return removed
