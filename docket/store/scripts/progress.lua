-- Write one step of a run's progress and tell whoever follows it, unless the run it is about is over.
-- KEYS run progress
-- ARGV message_id generation claim holder key_json at ttl_ms field value
-- REPLY {current or nil, total, message or nil} | nothing, where a fence (I2; none is '') no longer owns the run, or the
--   run has ended; `field` is current (adds `value`), total, message or 'no message'
-- USE ascii
local now = redis.call('HMGET', run, 'state', 'generation', 'claim', 'worker')
local state = now[1]
if message_id ~= '' then
  local ours = now[3] == message_id .. '.' .. claim and now[4] == holder
  if not ours or state ~= 'running' or (now[2] ~= generation and generation ~= '0') then return false end
elseif state == 'completed' or state == 'failed' or state == 'cancelled' or (not state and ttl_ms == '0') then
  return false
end
if field == 'current' then
  redis.call('HINCRBY', progress, field, value)
elseif field == 'no message' then
  redis.call('HDEL', progress, 'message')
else
  redis.call('HSET', progress, field, value)
end
redis.call('HSET', progress, 'updated_at', at)
if state ~= 'running' then redis.call('HSETNX', progress, 'generation', 0) end  -- by which a claim sees that it is old
if not state then redis.call('PEXPIRE', progress, ttl_ms == '' and 900000 or ttl_ms) end   -- no run, so no end that removes it
local kept = redis.call('HMGET', progress, 'current', 'total', 'message')
local function number(text, default) return text and string.find(text, '^-?%d+$') and text or default end
redis.call('PUBLISH', progress, '{"type": "progress", "key": ' .. key_json
  .. ', "current": ' .. number(kept[1], 'null') .. ', "total": ' .. number(kept[2], '100')
  .. ', "message": ' .. (kept[3] and ascii(kept[3]) or 'null') .. ', "updated_at": "' .. at .. '"}')
return kept
