-- Look at some of those who are under way in a group: whoever was ended by somebody that knows of no groups, or is gone, leaves it.
-- KEYS stream queue reserved_queue children
-- ARGV prefix group group_id start count lost_too
-- REPLY {how many were looked at, how many of them had ended}; with `lost_too` '1' also those who neither wait nor run, whatever
--   their records say: somebody has trimmed the stream
-- USE alive errors leave_group
-- By rank: a LIMIT with an offset into a range of scores walks to the offset.
local first, ended = redis.call('ZCOUNT', children, '-inf', 1) + start, 0
local page = redis.call('ZRANGE', children, first, first + count - 1)
for _, key in ipairs(page) do
  local run = prefix .. ':runs:' .. key
  local now = redis.pcall('HMGET', run, 'state', 'group')
  if now.err and is_refusal(now.err) then return now end
  local state = now[2] == group_id and now[1]
  local is_over = state == 'completed' or state == 'failed' or state == 'cancelled'
  if key ~= '' and (is_over or not state
    or (lost_too == '1' and not is_alive(run, key, stream, group, queue, reserved_queue))) then
    leave_group(prefix, group_id, key, is_over and state or 'cancelled')
    ended = ended + 1
  end
end
return {#page, ended}
