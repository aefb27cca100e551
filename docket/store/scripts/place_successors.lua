-- Place what is to run once more after runs that somebody has ended who knows of no successors (lib/successor.lua).
-- KEYS stream queue reserved_queue successors
-- ARGV prefix group limit
-- REPLY how many were placed; at most `limit` keys are looked at, those first that nobody has looked at for longest
-- USE alive errors successor
local placed, lib = 0, successor_lib(prefix)
local function look_after(key)
  local run, own = prefix .. ':runs:' .. key, redis.call('HGET', prefix .. ':ops:successor:' .. key, 's:generation')
  local now = redis.call('HMGET', run, 'state', 'generation', 'successor', 'completed_at', 'error', 'result_key')
  if not own then lib.forget(key)
  elseif is_alive(run, key, stream, group, queue, reserved_queue) then
    if now[3] ~= own then redis.call('HSET', run, 'successor', own) end   -- the record was made anew
    redis.call('ZADD', successors, redis.call('TIME')[1], key)
  else
    local is_over = now[1] == 'completed' or now[1] == 'failed' or now[1] == 'cancelled'
    local ended = {'state', is_over and now[1] or 'cancelled', 'completed_at', now[4] or '', 'error', now[5] or '', 'result_key', now[6] or ''}
    if not lib.place(stream, key, own, now[2] or '0', ended, '') then lib.forget(key) end
    placed = placed + 1
  end
end
local page = redis.pcall('ZRANGE', successors, 0, limit - 1)
for _, key in ipairs(page) do
  local ok, problem = pcall(look_after, key)
  if not ok and is_refusal(error_text(problem)) then error(problem, 0) end
  if not ok then lib.forget(key) end                           -- I9: something else is kept in place of its record
end
return placed
