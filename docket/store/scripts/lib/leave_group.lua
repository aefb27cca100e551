-- Task groups. `{prefix}:group:{id}` is a zset of the children of a group, by what has become of each: 2 under way, 2.5 asked to
-- stop, 1 completed, 0 cancelled, -1 failed. Its member '' (no task has that key) says how the group is: -5 open; 3 open, and every end
-- is published; -4 left; -6 doomed. Its parent, a task, is named at -9 (open_group.lua). Its name is also a channel: `{state} {key}` for an end, and `doomed `.
-- `{prefix}:groups` is a zset of `{id} {key of the parent}`, by the moment at which somebody is to look after the group.
-- A child has ended for good: it leaves its group, once, however often that is said (I11). Published are failures, the last end,
-- and all ends where somebody wants them. Returns whether it was under way.
local function leave_group(prefix, id, key, state)
  local children, score = prefix .. ':group:' .. id, state == 'completed' and 1 or state == 'failed' and -1 or 0
  -- It loses what it is short of the score, which tells in the same command what it had.
  local now = redis.call('ZADD', children, 'XX', 'INCR', score - 2, key)
  local before = now and now - (score - 2) or 0
  if before ~= 2 then                                          -- it was asked to stop, or had left; or is not of this group
    if now then redis.call('ZADD', children, 'XX', before > 2 and score or before, key) end
    if before < 2 then return false end
  end
  local top = redis.call('ZRANGE', children, -1, -1, 'WITHSCORES')
  if score < 0 or top[1] == '' or tonumber(top[2]) < 2 then redis.call('PUBLISH', children, state .. ' ' .. key) end
  return true
end
