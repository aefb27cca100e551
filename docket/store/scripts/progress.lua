-- Write what a run reports of its progress and publish it, unless the run is over.
-- KEYS run progress
-- ARGV message_id generation claim holder key_json at ttl_ms number amount before after changes...
-- REPLY {current or nil, total, message or nil} | nothing, where a fence (I2; without one the message id is '') no longer
--   owns the run, or the run has ended; `amount` is added to current; `changes` are pairs: total or message with its value,
--   'no message' ''
-- A report with a fence has a `number`, and a later one repeats what of earlier ones was not acknowledged: its `amount` is
-- how much its claim has reported in all (`after`) less how much was acknowledged (`before`). The last report is
-- recorded, so nothing counts twice, and a report that arrives late changes nothing.
-- USE ascii owns
local now = redis.call('HMGET', run, 'generation', 'claim', 'worker', 'state')
local state = now[4]
local fenced, late, begins = message_id ~= '', false, state == 'running'
if fenced then
  if state ~= 'running' or not owns(now, message_id, generation, claim, holder) then return false end
  local seen = redis.call('HGET', progress, 'reported')
  local whose, last, sum = string.match(seen or '', '^(%S+) (%d+) (%d+)$')
  begins = whose ~= now[2]
  if begins then last, sum = '0', '0' end                    -- of this claim nobody has reported
  late = tonumber(number) <= tonumber(last)
  if sum ~= before then amount = string.format('%.0f', tonumber(after) - tonumber(sum)) end
elseif state == 'completed' or state == 'failed' or state == 'cancelled' or (not state and ttl_ms == '0') then
  return false
end
if late then return redis.call('HMGET', progress, 'current', 'total', 'message') end
if begins and redis.call('HSETNX', progress, 'generation', now[1] or 0) == 1 then
  redis.call('HSETNX', progress, 'current', 0)               -- a client may have reported by hand
  redis.call('HSETNX', progress, 'total', 100)
end
if amount ~= '0' then redis.call('HINCRBY', progress, 'current', amount) end
local written = {'updated_at', at}
if fenced then written[3], written[4] = 'reported', now[2] .. ' ' .. number .. ' ' .. after end
for each = 1, #changes, 2 do
  if changes[each] == 'no message' then
    redis.call('HDEL', progress, 'message')
  else
    written[#written + 1], written[#written + 2] = changes[each], changes[each + 1]
  end
end
redis.call('HSET', progress, unpack(written))
if not state then redis.call('PEXPIRE', progress, ttl_ms == '' and 900000 or ttl_ms) end   -- no run, so no end that removes it
local kept = redis.call('HMGET', progress, 'current', 'total', 'message')
local function number_or(text, default) return text and string.find(text, '^-?%d+$') and text or default end
redis.call('PUBLISH', progress, '{"type": "progress", "key": ' .. key_json
  .. ', "current": ' .. number_or(kept[1], 'null') .. ', "total": ' .. number_or(kept[2], '100')
  .. ', "message": ' .. (kept[3] and ascii(kept[3]) or 'null') .. ', "updated_at": "' .. at .. '"}')
return kept
