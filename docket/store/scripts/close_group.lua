-- Say that a group was left. What is known of it is kept for a while: for a parent that is redelivered.
-- KEYS run groups children
-- ARGV message_id generation claim holder key group_id kept_ms
-- REPLY 'OK' | 'BUSY' | 'LOST'; of a program the key is ''. BUSY: somebody in it is under way, so it stays open. LOST: another
--   delivery of the parent has it
-- USE owns open_groups
local now = key ~= '' and redis.call('HMGET', run, 'generation', 'claim', 'worker', 'groups') or {}
if now[1] and not owns(now, message_id, generation, claim, holder) then return 'LOST' end   -- I13
if redis.call('ZCOUNT', children, 2, 2.5) > 0 then return 'BUSY' end
redis.call('ZREM', groups, group_id .. ' ' .. key)             -- first: after it a full server accepts the next write
if redis.call('ZSCORE', children, '') ~= '-6' then redis.call('ZADD', children, 'XX', -4, '') end
redis.call('PEXPIRE', children, kept_ms)                       -- I15
if now[4] then
  local others = groups_without(now[4], group_id)
  if others then redis.call('HSET', run, 'groups', others) else redis.call('HDEL', run, 'groups') end
end
return 'OK'
