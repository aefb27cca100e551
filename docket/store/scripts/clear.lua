-- Cancel up to `limit` waiting tasks; what runs goes on.
-- KEYS stream queue reserved_queue
-- ARGV prefix group completed_at ttl_ms limit start
-- REPLY {cancelled, where to go on in the stream or ''}
-- USE json
local count, last = 0, ''
local function cancel(key)
  local run = prefix .. ':runs:' .. key
  if ttl_ms == '0' then
    redis.call('DEL', run)
  else
    redis.call('HSET', run, 'state', 'cancelled', 'completed_at', completed_at)
    redis.call('HDEL', run, 'known', 'stream_id')
    redis.call('PEXPIRE', run, ttl_ms)
  end
  redis.call('DEL', prefix .. ':progress:' .. key)
  redis.call('PUBLISH', prefix .. ':state:' .. key,
    '{"type":"state","key":' .. json(key) .. ',"state":"cancelled","completed_at":"' .. completed_at .. '"}')
  count = count + 1
end
for at = 2, 3 do
  local queue, shelf = KEYS[at], at == 2 and prefix or prefix .. ':parked'
  for _, key in ipairs(redis.call('ZRANGE', queue, 0, tonumber(limit) - 1)) do
    redis.call('DEL', shelf .. ':' .. key)
    redis.call('ZREM', queue, key)
    cancel(key)
  end
end
if count >= tonumber(limit) then return {count, start} end
local entries = redis.call('XRANGE', stream, start, '+', 'COUNT', limit)
for _, entry in ipairs(entries) do
  local id, fields, key = entry[1], entry[2], nil
  for f = 1, #fields, 2 do if fields[f] == 'key' then key = fields[f + 1] end end
  if key and redis.call('HGET', prefix .. ':runs:' .. key, 'state') ~= 'running' then
    redis.call('XACK', stream, group, id)
    redis.call('XDEL', stream, id)
    cancel(key)
  end
  last = '(' .. id
end
return {count, #entries == tonumber(limit) and last or ''}
