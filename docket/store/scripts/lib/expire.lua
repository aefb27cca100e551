-- Let a final record go after `ttl_ms`; '' is never.
local function expire(run, ttl_ms)
  if ttl_ms ~= '' then redis.call('PEXPIRE', run, ttl_ms) end
end
