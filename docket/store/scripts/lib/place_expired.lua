-- Record a call that has expired before it could be placed: it is cancelled, and takes nobody's place on the stream or a queue. `expired` has
-- how long its record is kept where `ttl` is '-', the moment of now and that of its expiry, as text; `call` as in lib/place.lua,
-- `child_of` is the group that it was added to.
local function place_expired(prefix, stream, key, when, generation, call, ttl, expired, child_of)
  -- USE events ending kin finish
  local run, at, why = prefix .. ':runs:' .. key, expired[2], 'ExecutionExpired: it had not begun by ' .. expired[3]
  local record = {'generation', generation, 'when', when, 'function', call[2], 'args', call[3], 'kwargs', call[4], 'state',
    'cancelled', 'completed_at', at, 'error', why}
  if child_of then record[#record + 1], record[#record + 2] = 'group', child_of end
  end_run(run, prefix .. ':progress:' .. key, ttl == '-' and expired[1] or ttl, record, prefix .. ':state:' .. key,
    event_of(key, 'cancelled', ',"completed_at":"' .. at .. '","error":' .. json(why)))
  if child_of then end_in_groups(prefix, key, 'cancelled', child_of) end
  publish_if_finished(prefix, stream, prefix .. ':queue', prefix .. ':parked', prefix .. ':wake')   -- it may have replaced the last one
end
