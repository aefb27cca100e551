-- Remove consumers that hold nothing and whose worker is dead.
-- KEYS stream workers
-- ARGV group expiry_ms consumers...
-- REPLY how many were removed; a worker without a heartbeat for `expiry_ms` is dead
local removed, oldest = 0, redis.call('TIME')[1] - expiry_ms / 1000
for _, name in ipairs(consumers) do
  local seen = redis.call('ZSCORE', workers, name)
  local lives = seen and tonumber(seen) >= oldest
  -- The server drops what is pending for a consumer with the consumer.
  if not lives and #redis.call('XPENDING', stream, group, '-', '+', 1, name) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
    removed = removed + 1
  end
end
return removed
