-- Place the call of a failure anew, and remove what is kept of the failure.
-- KEYS stream key_queue failure
-- ARGV prefix group key failed_at failed_generation when due state_event known_strikes ttl call...
-- REPLY as schedule.lua, or 'GONE 0': the failure that was at `failed_at` is not kept any more; with '' the
--   record of the key is not any more that of a failure, of `failed_generation`
-- USE numbers place strikes vacate failures
local run, generation, no, give_back = prefix .. ':runs:' .. key, 0, nil, nil
if failed_at ~= '' then
  if redis.call('HGET', failure, 'failed_at') ~= failed_at then return 'GONE 0' end
else
  local now = redis.call('HMGET', run, 'state', 'generation')
  if now[1] ~= 'failed' or (whole(now[2]) or 0) ~= tonumber(failed_generation) then return 'GONE 0' end
end
if known_strikes ~= '*' and last_strike(prefix .. ':strikes') ~= known_strikes then return 'STRIKES 0' end
if redis.call('EXISTS', run) == 1 then
  if ttl == '-' then ttl = redis.call('HGET', run, 'ttl') or '-' end   -- what the caller gave it
  generation, no, give_back = vacate(prefix, stream, group, run, key, key_queue, prefix .. ':queue', '0', '', '0')
end
if no then return no .. ' ' .. generation end
generation = string.format('%d', generation + 1)             -- I5
place(prefix, stream, key_queue, key, when, due, state_event, generation, call, unpack(ttl == '-' and {} or {'ttl', ttl}))
if give_back then give_back() end
failures_lib(prefix).drop(key)
return 'OK ' .. generation
