-- Let a task that waits for its time run now.
-- KEYS run parked key_queue retrying failure
-- ARGV prefix key now_epoch now_text state_event
-- REPLY whether it waited for its time; `now_epoch` are epoch seconds, `now_text` is the same as text
local state = redis.call('HGET', run, 'state')
if state ~= 'scheduled' or not redis.call('ZSCORE', key_queue, key) or redis.call('HGET', parked, 'key') ~= key then return 0 end
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
