-- Whether what was placed under a key still waits or runs.
-- KEYS run stream queue reserved_queue
-- ARGV key group
-- REPLY {1 | 0 | 2, generation}; 2 where something else than a record is there; the generation is 0 where none is recorded
-- USE numbers alive
local recorded = redis.pcall('HGET', run, 'generation')
if type(recorded) == 'table' and recorded.err then return {2, 0} end
return {is_alive(run, key, stream, group, queue, reserved_queue) and 1 or 0, whole(recorded) or 0}
