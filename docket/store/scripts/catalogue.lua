-- Write what a worker knows of its tasks, for those who have none of their code.
-- KEYS described_tasks seen_tasks recurrences
-- ARGV most kept_ms tasks...
-- REPLY 0. Of each of `tasks`: its name, its description, and when it recurs, '' where it does not. Those that nobody has described for
--   `kept_ms` go, and above `most` those that nobody has for longest: a hundred at a time
local time, seen, described, gone, again = redis.call('TIME'), {}, {}, {}, {}
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for at = 1, #tasks, 3 do
  local name, recurs = tasks[at], tasks[at + 2]
  seen[#seen + 1], seen[#seen + 2] = now, name
  described[#described + 1], described[#described + 2] = name, tasks[at + 1]
  if recurs == '' then gone[#gone + 1] = name else again[#again + 1], again[#again + 2] = name, recurs end
end
redis.call('ZADD', seen_tasks, unpack(seen))
redis.call('HSET', described_tasks, unpack(described))
if #gone > 0 then redis.call('HDEL', recurrences, unpack(gone)) end
if #again > 0 then redis.call('HSET', recurrences, unpack(again)) end
local old = redis.call('ZRANGEBYSCORE', seen_tasks, '-inf', string.format('%.0f', now - kept_ms), 'LIMIT', 0, 100)
local over = redis.call('ZCARD', seen_tasks) - most
if #old == 0 and over > 0 then old = redis.call('ZRANGE', seen_tasks, 0, math.min(over, 100) - 1) end
if #old > 0 then
  redis.call('ZREM', seen_tasks, unpack(old))
  redis.call('HDEL', described_tasks, unpack(old))
  redis.call('HDEL', recurrences, unpack(old))
end
for _, name in ipairs({described_tasks, seen_tasks, recurrences}) do redis.call('PEXPIRE', name, kept_ms) end
return 0
