-- Remove what is kept of a failure.
-- KEYS failure
-- ARGV prefix key failed_at
-- REPLY whether it was removed: not where it is gone, or is another one than that which was at `failed_at`; '' is any
-- USE failures
local at = redis.call('HGET', failure, 'failed_at')
if not at or (failed_at ~= '' and at ~= failed_at) then return 0 end
failures_lib(prefix).drop(key)
return 1
