-- Remove failures that are too old, and those of tasks that are said to be tried again, and are not any more.
-- KEYS failures retrying failure_totals
-- ARGV prefix oldest latest limit
-- REPLY how many were removed, of at most `limit` that are looked at in each list; `oldest` and `latest` are moments in ms: older
--   failures are removed, and next attempts that should have begun before `latest` are looked at
-- USE failures
local lib, removed, left = failures_lib(prefix), 0, 0
for list, before in pairs({[failures] = oldest, [retrying] = latest}) do
  -- What is kept there in place of a list has no members (I9).
  for _, key in ipairs(redis.pcall('ZRANGEBYSCORE', list, '-inf', '(' .. before, 'LIMIT', 0, limit)) do
    local now = list == retrying and redis.pcall('HMGET', prefix .. ':runs:' .. key, 'state', 'noted') or {}
    local state = not now.err and now[2] and now[1]
    if state ~= 'scheduled' and state ~= 'queued' and state ~= 'running' then
      lib.try('drop', key)
      removed = removed + 1
    end
  end
  left = left + (tonumber(redis.pcall('ZCARD', list)) or 1)
end
-- What the server evicts, or removes by itself, is still counted.
if left == 0 then redis.pcall('HDEL', failure_totals, 'bytes') end
return removed
