-- Tell whether what was placed under a key still has a way to go.
-- KEYS run stream queue reserved_queue
-- ARGV key
-- REPLY {1 | 0, generation}; the generation is 0 where nothing is recorded
local now = redis.call('HMGET', run, 'state', 'generation', 'stream_id', 'waiter_stream')
-- `waits`: for a slot; whoever frees one wakes it.
local state, generation, stream_id, waits = now[1], tonumber(now[2]) or 0, now[3], now[4]
local alive = false
if state == 'scheduled' then
  alive = waits or redis.call('ZSCORE', queue, key) or redis.call('ZSCORE', reserved_queue, key)
elseif state == 'queued' and stream_id then
  alive = #redis.call('XRANGE', stream, stream_id, stream_id) > 0
elseif state == 'queued' or state == 'running' then
  alive = redis.call('XLEN', stream) > 0                     -- pydocket does not record which entry it is
end
return {alive and 1 or 0, generation}
