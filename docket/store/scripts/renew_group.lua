-- Say that the program that has opened a group lives: until then its children are not cancelled.
-- KEYS groups children
-- ARGV group_id look_after_ms
-- REPLY whether the group is open
-- USE later
local score = redis.call('ZSCORE', children, '')
if score ~= '-5' and score ~= '3' then return 0 end
redis.call('ZADD', groups, later(look_after_ms), group_id .. ' ')
return 1
