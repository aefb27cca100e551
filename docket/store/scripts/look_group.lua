-- Look whether the parent of a group lives: a task by its record, a program by the moment until which it has renewed the group.
-- KEYS run groups children stream queue reserved_queue
-- ARGV prefix group group_id key look_after_ms
-- REPLY 'DOOMED' | 'ALIVE' | 'GONE'. DOOMED: the caller cancels who is in it; nobody else is told to before `look_after_ms` are over.
--   ALIVE: there is nothing to do now
-- USE alive doom later
local member, score = group_id .. ' ' .. key, redis.call('ZSCORE', children, '')
if not score or score == '-4' then
  redis.call('ZREM', groups, member)
  return 'GONE'
end
local due = redis.call('ZSCORE', groups, member)
if not due or due == 'inf' or tonumber(due) > tonumber(later(0)) then return 'ALIVE' end   -- somebody was quicker, or it was renewed
redis.call('ZREM', groups, '')                                 -- there is none: after it a full server accepts the next write
if score ~= '-6' then
  local open = key ~= '' and redis.call('HGET', run, 'groups')
  if open and string.find(' ' .. open .. ' ', ' ' .. group_id .. ' ', 1, true)
    and is_alive(run, key, stream, group, queue, reserved_queue) then
    redis.call('ZADD', groups, later(look_after_ms), member)
    return 'ALIVE'
  end
  doom_groups(prefix, key, group_id)
end
redis.call('ZADD', groups, later(look_after_ms), member)
return 'DOOMED'
