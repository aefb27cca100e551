-- Pause a task, or all of them: workers begin none of what they are handed from now on.
-- KEYS pauses
-- ARGV task remark most wake_channel
-- REPLY 'OK' | 'PAUSED' | 'FULL'; `task` is '*' for all of them, which always can be paused. PAUSED: it was before, and its
--   remark stays. FULL: `most` are.
if redis.call('HGET', pauses, task) then return 'PAUSED' end
if task ~= '*' and #redis.call('HGETALL', pauses) >= 2 * most then return 'FULL' end
-- There is none to remove: after it a full server accepts the next write, which is to be a small one.
if #remark <= 4096 then redis.call('HDEL', pauses, task) end
redis.call('HSET', pauses, task, remark)
redis.call('PUBLISH', wake_channel, 'paused ' .. task)         -- for readers that wait in the server
return 'OK'
