-- Move tasks whose time has come from the queues to the stream, at most `limit` of them.
-- KEYS stream queue reserved_queue
-- ARGV prefix now limit
-- REPLY {moved, the score of the next task or ''}
-- USE json carry
-- Whether a message of the reserved queue is still the key's: pydocket does not find it there to replace or cancel it.
local function is_live(run, generation)
  local now = redis.call('HMGET', run, 'state', 'generation')
  return now[1] == 'scheduled' and (tonumber(now[2]) or 0) <= generation
end
local moved, left, next_score = 0, tonumber(limit), ''
for at = 2, 3 do
  local waiting, shelf = KEYS[at], at == 2 and prefix or reserved_queue
  local keys = left > 0 and redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, left) or {}
  for _, key in ipairs(keys) do
    local parked = shelf .. ':' .. key
    local fields = redis.pcall('HGETALL', parked)
    if not fields.err and #fields > 0 then                   -- I9: what is not a message there moves nobody
      local run, when, generation = prefix .. ':runs:' .. key, '', 0
      for f = 1, #fields, 2 do
        if fields[f] == 'when' then when = fields[f + 1]
        elseif fields[f] == 'generation' then generation = tonumber(fields[f + 1]) or 0 end
      end
      if at == 2 or is_live(run, generation) then
        local id = redis.call('XADD', stream, '*', unpack(carry(fields)))   -- trace context and foreign fields too
        redis.call('HSET', run, 'state', 'queued', 'stream_id', id)
        redis.call('PUBLISH', prefix .. ':state:' .. key,
          '{"type":"state","key":' .. json(key) .. ',"state":"queued","when":' .. json(when) .. '}')
        moved = moved + 1
      end
      redis.call('DEL', parked)
    end
    redis.call('ZREM', waiting, key)
    left = left - 1
  end
  local first = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  if first and (next_score == '' or tonumber(first) < tonumber(next_score)) then next_score = first end
end
return {moved, next_score}
