-- Place the call of a failure anew, and remove what is kept of the failure.
-- KEYS stream key_queue failure
-- ARGV prefix group key failed_at failed_generation when due state_event known_strikes ttl call...
-- REPLY as schedule.lua, or 'GONE 0': the failure that was at `failed_at` is not kept any more; with '' the
--   record of the key is not any more that of a failure, of `failed_generation`
-- USE numbers known_strikes place_call failures
local run = prefix .. ':runs:' .. key
if failed_at ~= '' then
  if redis.call('HGET', failure, 'failed_at') ~= failed_at then return 'GONE 0' end
else
  local now = redis.call('HMGET', run, 'state', 'generation')
  if now[1] ~= 'failed' or (whole(now[2]) or 0) ~= tonumber(failed_generation) then return 'GONE 0' end
end
if not knows_strikes(prefix, known_strikes) then return 'STRIKES 0' end
local is_used = redis.call('EXISTS', run) == 1
if is_used and ttl == '-' then ttl = redis.call('HGET', run, 'ttl') or '-' end   -- what the caller gave it
local reply, is_placed =
  place_call(prefix, stream, group, key, key_queue, is_used, '0', '', '0', when, due, state_event, ttl, nil, call)
if is_placed then failures_lib(prefix).drop(key) end
return reply
