-- Move tasks whose time has come from the queues to the stream, at most `limit` of them.
-- KEYS stream queue reserved_queue
-- ARGV prefix now limit
-- REPLY {moved, the score of the next task or ''}
-- USE json
local moved, next_score = 0, ''
for at = 2, 3 do
  local queue, shelf = KEYS[at], at == 2 and prefix or prefix .. ':parked'
  local keys = redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, limit)
  for _, key in ipairs(keys) do
    local parked = shelf .. ':' .. key
    local fields = redis.call('HGETALL', parked)
    if #fields > 0 then
      local run, when = prefix .. ':runs:' .. key, ''
      for f = 1, #fields, 2 do if fields[f] == 'when' then when = fields[f + 1] end end
      local id = redis.call('XADD', stream, '*', unpack(fields))   -- every field: trace context and foreign ones too
      redis.call('DEL', parked)
      redis.call('HSET', run, 'state', 'queued', 'stream_id', id)
      redis.call('PUBLISH', prefix .. ':state:' .. key,
        '{"type":"state","key":' .. json(key) .. ',"state":"queued","when":' .. json(when) .. '}')
      moved = moved + 1
    end
    redis.call('ZREM', queue, key)
  end
  local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')[2]
  if first and (next_score == '' or tonumber(first) < tonumber(next_score)) then next_score = first end
end
return {moved, next_score}
