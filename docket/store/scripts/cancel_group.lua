-- Doom a group and cancel up to `limit` of those in it who are under way.
-- KEYS run stream queue reserved_queue groups children
-- ARGV prefix group message_id generation claim holder key group_id completed_at ttl_ms limit again look_after_ms kept_ms wake_channel
-- REPLY {'OK' | 'LOST', how many were looked at, whether anybody is under way, whether some who were asked to stop are to be asked
--   again}; that they are with `again` '1', a thousand at a time, before anybody is looked at. LOST: the group is open, and another delivery
--   of its parent has it; the message id '' is for those who cancel it in any case
-- USE errors events finish cancel_one leave_group later owns
local member = group_id .. ' ' .. key
redis.call('ZREM', groups, '')                                 -- there is none: after it a full server accepts what frees memory
if redis.call('ZSCORE', children, '') ~= '-6' then
  local now = message_id ~= '' and redis.call('HMGET', run, 'generation', 'claim', 'worker') or {}
  if now[1] and not owns(now, message_id, generation, claim, holder) then return {'LOST', 0, 0, 0} end   -- I13
  redis.call('ZADD', children, 'XX', -6, '')                   -- I12: nobody is added behind this
end
if again == '1' then
  local asked, scores = redis.call('ZRANGEBYSCORE', children, 2.5, 2.5, 'LIMIT', 0, 1000), {}
  for at, each in ipairs(asked) do scores[2 * at - 1], scores[2 * at] = 2, each end
  if asked[1] then redis.call('ZADD', children, 'XX', unpack(scores)) end
  if #asked == 1000 then
    redis.call('ZADD', groups, later(look_after_ms), member)
    return {'OK', 0, 1, 1}
  end
end
local cancel = canceller(prefix, stream, group, queue, reserved_queue, wake_channel, completed_at, ttl_ms)
local page = redis.call('ZRANGEBYSCORE', children, 2, 2, 'LIMIT', 0, limit)
for _, child in ipairs(page) do
  local event = event_of(child, 'cancelled', ',"completed_at":"' .. completed_at .. '"')
  local ok, reply, state = pcall(cancel, child, reserved_queue .. ':' .. child, reserved_queue, event, group_id)
  if not ok and is_refusal(error_text(reply)) then error(reply, 0) end
  if ok and reply ~= 'NOTHING' then redis.call('PUBLISH', prefix .. ':cancel:' .. child, child) end
  if reply == 'ASKED' then redis.call('ZADD', children, 'XX', 2.5, child)
  elseif reply ~= 'CANCELLED' then leave_group(prefix, group_id, child, ok and state or 'cancelled') end   -- I9: or of another type
end
local is_busy = redis.call('ZCOUNT', children, 2, 2.5) > 0
if is_busy then redis.call('ZADD', groups, later(look_after_ms), member)   -- I15
else
  redis.call('ZREM', groups, member)
  redis.call('PEXPIRE', children, kept_ms)
end
if #page > 0 then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
return {'OK', #page, is_busy and 1 or 0, 0}
