-- End a run that may wait, for good: what is to run once more after it (`successor`, a field of its record) takes its key, or its record is
-- that of an end. `generation` is its own, `record` as in lib/ending.lua; with `noted` its failure is kept.
-- USE ending succeed
local function end_for_good(prefix, stream, key, generation, successor, ttl_ms, record, event, noted)
  local progress = prefix .. ':progress:' .. key
  if successor and succeed(prefix, stream, key, successor, generation, record, event, noted) then redis.call('DEL', progress)
  else end_run(prefix .. ':runs:' .. key, progress, ttl_ms, record, prefix .. ':state:' .. key, event) end
end
