-- Add one instruction to the strikes, and remove those that have no effect from now on.
-- KEYS strikes
-- ARGV after count spent_ids spent_and_fields...
-- REPLY the instructions after the id `after`, this one last: at most `count` of them. The first `spent_ids` of the rest
--   are the ids to remove, what follows are the fields.
local spent = tonumber(spent_ids)
redis.call('XADD', strikes, '*', unpack(spent_and_fields, spent + 1))
if spent > 0 then redis.call('XDEL', strikes, unpack(spent_and_fields, 1, spent)) end
return redis.call('XRANGE', strikes, after, '+', 'COUNT', count)
