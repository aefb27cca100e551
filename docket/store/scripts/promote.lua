-- Let a task that waits for its time run now, and give it a level.
-- KEYS run parked key_queue retrying failure
-- ARGV prefix key failed_at now_epoch now_text state_event level
-- REPLY whether it waited for its time, on a queue; what is due there already is left as it is. `now_epoch` are epoch seconds, `now_text`
--   is the same as text. `level` is what the message is to say of it, 'normal' nothing, '' what it says. With `failed_at` only the next attempt of the failure that was then: a call that has replaced it waits on
local state = redis.call('HGET', run, 'state')
local due = state == 'scheduled' and redis.call('ZSCORE', key_queue, key)
if not due or redis.call('HGET', parked, 'key') ~= key then return 0 end
if failed_at ~= '' and redis.call('HGET', failure, 'failed_at') ~= failed_at then return 0 end
if level == 'normal' then
  redis.call('HDEL', parked, 'docket:lane')
elseif level ~= '' then
  redis.call('HSET', parked, 'docket:lane', level)
end
if tonumber(due) <= tonumber(now_epoch) then return 1 end
redis.call('ZADD', key_queue, now_epoch, key)
redis.call('HSET', parked, 'when', now_text)
redis.call('HSET', run, 'when', now_epoch, 'known', now_epoch)
if redis.call('ZSCORE', retrying, key) then
  local ms = string.format('%d', now_epoch * 1000)
  redis.call('ZADD', retrying, ms, key)
  redis.call('HSET', failure, 'next_at', ms)
end
redis.call('PUBLISH', prefix .. ':state:' .. key, state_event)
redis.call('PUBLISH', prefix .. ':wake', 'due ' .. now_epoch)
return 1
