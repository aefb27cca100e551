-- Add one instruction to the strikes, and remove those that have no effect from now on.
-- KEYS strikes
-- ARGV after count spent_ids spent_and_fields...
-- REPLY the instructions after the id `after`, this one last: at most `count` of them. The first `spent_ids` of the rest
--   are the ids to remove, what follows are the fields.
local spent = tonumber(spent_ids)
local size = 0
for at = spent + 1, #spent_and_fields do size = size + #spent_and_fields[at] end
-- First: a full server accepts writes once memory may be freed. A few strikes stop what fills it, many would fill it further.
if spent > 0 then redis.call('XDEL', strikes, unpack(spent_and_fields, 1, spent))
elseif size <= 4096 and redis.call('XLEN', strikes) < 1000 then redis.call('XDEL', strikes, '0-0') end
redis.call('XADD', strikes, '*', unpack(spent_and_fields, spent + 1))
return redis.call('XRANGE', strikes, after, '+', 'COUNT', count)
