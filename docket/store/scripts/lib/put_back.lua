-- Have deliveries that a blocking read has just brought be as if they had not been read: they stay where they are on the stream,
-- and are handed out first, once again. Possible as long as nothing behind them was handed out; returns
-- whether it was. `deliveries` as in claim.lua.
local function put_back(stream, group, worker, deliveries)
  -- USE numbers stream_of
  local ids, first = {}, entry_id(deliveries[1])
  if not first or stream_of(stream, first) ~= stream then return false end   -- of a lane: there are others
  local pending = redis.call('XPENDING', stream, group, first, '+', #deliveries / 3 + 1)
  for at = 1, #deliveries, 3 do
    local one = pending[#ids + 1]
    if not one or one[1] ~= deliveries[at] or one[2] ~= worker or one[4] ~= 1 then return false end
    ids[#ids + 1] = one[1]
  end
  if #pending > #ids then return false end
  local ms, count = string.match(first, '^(%d+)%-(%d+)$')
  local before = ms .. '-' .. string.format('%d', count - 1)
  if count == '0' then before = string.format('%d', ms - 1) .. '-18446744073709551615' end
  if redis.pcall('XGROUP', 'SETID', stream, group, before).err then return false end   -- its user may not do that
  redis.call('XACK', stream, group, unpack(ids))
  return true
end
