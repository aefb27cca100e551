-- Remove failures that are too old, and those of tasks that are said to be tried again, and are not any more.
-- KEYS failures retrying failure_totals
-- ARGV prefix oldest latest limit passed
-- REPLY {how many `retrying` has to be passed over next, 1 where there is more to look at}; at most `limit` are looked at in each list,
--   in `retrying` behind the `passed` first. `oldest` and `latest` are moments in ms: older failures are removed, and next attempts
--   that should have begun before `latest` are looked at
-- USE failures
local lib, stay, more, left = failures_lib(prefix), tonumber(passed), 0, 0
for list, before in pairs({[failures] = oldest, [retrying] = latest}) do
  -- What is kept there in place of a list has no members (I9).
  local keys = redis.pcall('ZRANGEBYSCORE', list, '-inf', '(' .. before, 'LIMIT', list == retrying and passed or 0, limit)
  if #keys == tonumber(limit) then more = 1 end
  for _, key in ipairs(keys) do
    local now = list == retrying and redis.pcall('HMGET', prefix .. ':runs:' .. key, 'state', 'noted') or {}
    local state = not now.err and now[2] and now[1]
    if state ~= 'scheduled' and state ~= 'queued' and state ~= 'running' then
      lib.try('drop', key)
      redis.call('ZREM', list, key)                            -- also where something else is kept in place of the failure
    elseif list == retrying then
      stay = stay + 1
    end
  end
  left = left + (tonumber(redis.pcall('ZCARD', list)) or 1)
end
-- What the server evicts, or removes by itself, is still counted.
if left == 0 then redis.pcall('HDEL', failure_totals, 'bytes') end
return {stay, more}
