-- Move tasks whose time has come from the queues to the stream, at most `limit` of them.
-- KEYS stream queue reserved_queue
-- ARGV prefix now limit at ttl_ms failures_kept failure_ttl failed_at
-- REPLY {moved, the score of the next task or ''}; `now` is epoch seconds, `at` the same as text; the last three as in
--   lib/failures.lua, `failures_kept` '0' for none
-- USE events numbers carry queue_up finish end_for_good kept errors failures kin
-- Whether a message of the reserved queue is still the one of its key: pydocket does not find it there to replace or cancel
-- it.
local function is_live(run, generation)
  local now = redis.pcall('HMGET', run, 'state', 'generation')
  return now.err or (now[1] == 'scheduled' and (whole(now[2]) or 0) <= generation)
end
-- End the run of a key whose message is gone (evicted, deleted by hand), or is none of its own: no worker can run it, and
-- a caller may wait for it.
local function fail(key, run, why)
  local now = redis.pcall('HMGET', run, 'state', 'waiter_stream', 'ttl', 'attempt', 'group', 'groups', 'successor', 'generation')
  if now.err or now[1] ~= 'scheduled' or now[2] then return end
  local reason, lib = 'its message is ' .. why, failures_lib(prefix)
  local message = lib.recorded(key)
  local record = {'state', 'failed', 'completed_at', at, 'error', 'DeliveryUnreadable: ' .. reason}
  local event = event_of(key, 'failed', ',"completed_at":"' .. at .. '","error":' .. json('DeliveryUnreadable: ' .. reason))
  end_for_good(prefix, stream, key, now[8] or '0', now[7], kept_for(now[3], ttl_ms), record, event, failures_kept ~= '0')
  if failures_kept ~= '0' then
    lib.try('keep', key, '', '0', message, '', failure_ttl, failures_kept, failed_at, now[4] or '1',
      'docket.errors.DeliveryUnreadable', reason, '', '')
  end
  if now[5] or now[6] then end_in_groups(prefix, key, 'failed', now[5], now[6]) end
  return true
end
local moved, left, next_score, failed = 0, tonumber(limit), '', false
for _, waiting in ipairs({queue, reserved_queue}) do
  local shelf = waiting == queue and prefix or reserved_queue
  local keys = left > 0 and redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, left) or {}
  for _, key in ipairs(keys) do
    local parked, run = shelf .. ':' .. key, prefix .. ':runs:' .. key
    local fields = redis.pcall('HGETALL', parked)
    if fields.err and is_refusal(fields.err) then return fields end
    redis.call('ZREM', waiting, key)
    local message = {generation = '0', when = ''}
    for f = 1, fields.err and 0 or #fields, 2 do message[fields[f]] = fields[f + 1] end
    if message.key == key then                               -- I9: what is not a message there is not moved
      local generation = whole(message.generation) or 0
      if waiting == queue or is_live(run, generation) then
        -- Trace context and foreign fields, too. The claim sets it aside where there is something else than a record.
        local id, fresh, waits = queue_up(redis.pcall, stream, run, carry(fields))
        if type(id) == 'table' then                          -- this is no stream, or takes no more
          redis.call('ZADD', waiting, now, key)
          return id
        end
        if fresh == 2 and generation > 0 then
          -- There was no record (evicted): without one the claim would take the message for one that was replaced.
          redis.call('HSET', run, 'generation', generation, 'known', now, 'when', now,
            'function', message['function'] or '', 'args', message.args or '', 'kwargs', message.kwargs or '')
        end
        if not waits then
          redis.call('PUBLISH', prefix .. ':state:' .. key, event_of(key, 'queued', ',"when":' .. json(message.when)))
        end
        moved = moved + 1
      end
      redis.call('DEL', parked)
    else
      failed = fail(key, run, (fields.err or #fields > 0) and 'none of its own' or 'gone') or failed
    end
    left = left - 1
  end
  local first = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  if first and (next_score == '' or tonumber(first) < tonumber(next_score)) then next_score = first end
end
if failed then publish_if_finished(prefix, stream, queue, reserved_queue, prefix .. ':wake') end
return {moved, next_score}
