-- Have every end in a group published from now on, not only failures and the last end.
-- KEYS children
-- ARGV watched
-- REPLY whether the group is open; `watched` is the score that says it (lib/leave_group.lua)
local score = redis.call('ZSCORE', children, '')
if score == '-5' then redis.call('ZADD', children, 'XX', watched, '') end
return (score == '-5' or score == watched) and 1 or 0
