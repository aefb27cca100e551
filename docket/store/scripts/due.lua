-- Move tasks whose time has come from the queues to the stream, at most `limit` of them.
-- KEYS stream queue reserved_queue
-- ARGV prefix now limit
-- REPLY {moved, the score of the next task or ''}
-- USE json carry
local moved, left, next_score = 0, tonumber(limit), ''
for at = 2, 3 do
  local waiting, shelf = KEYS[at], at == 2 and prefix or reserved_queue
  local keys = left > 0 and redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, left) or {}
  for _, key in ipairs(keys) do
    local parked = shelf .. ':' .. key
    local fields = redis.pcall('HGETALL', parked)
    if not fields.err and #fields > 0 then                   -- I9: what is not a message there moves nobody
      local run, when = prefix .. ':runs:' .. key, ''
      for f = 1, #fields, 2 do if fields[f] == 'when' then when = fields[f + 1] end end
      local id = redis.call('XADD', stream, '*', unpack(carry(fields)))   -- trace context and foreign fields too
      redis.call('DEL', parked)
      redis.call('HSET', run, 'state', 'queued', 'stream_id', id)
      redis.call('PUBLISH', prefix .. ':state:' .. key,
        '{"type":"state","key":' .. json(key) .. ',"state":"queued","when":' .. json(when) .. '}')
      moved = moved + 1
    end
    redis.call('ZREM', waiting, key)
    left = left - 1
  end
  local first = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  if first and (next_score == '' or tonumber(first) < tonumber(next_score)) then next_score = first end
end
return {moved, next_score}
