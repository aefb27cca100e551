-- Tell whether what was placed under a key still has a way to go.
-- KEYS run stream queue reserved_queue
-- ARGV key group
-- REPLY {1 | 0, generation}; the generation is 0 where nothing is recorded
-- USE alive
local generation = tonumber(redis.call('HGET', run, 'generation')) or 0
return {is_alive(run, key, stream, group, queue, reserved_queue) and 1 or 0, generation}
