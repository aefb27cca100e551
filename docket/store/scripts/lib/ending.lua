-- End a run, whichever way: no progress, a final record with its TTL or none ('0'), an event. `record` are the fields to
-- set. Of a `claimed` run the record has nothing left of those that wait (claim_one.lua).
local function end_run(run, progress, ttl_ms, record, channel, event, claimed)
  redis.call('DEL', progress)                                -- first: a full server lets go on who has freed something
  if ttl_ms == '0' then
    redis.call('DEL', run)
  else
    redis.call('HSET', run, unpack(record))
    if not claimed then redis.call('HDEL', run, 'known', 'stream_id', 'waiter_stream', 'waiter_entry_id') end
    expire(run, ttl_ms)
  end
  redis.call('PUBLISH', channel, event)
end
-- The event, where no client has written it.
local function end_event(key, state, at, reason)
  return '{"type":"state","key":' .. json(key) .. ',"state":"' .. state .. '","completed_at":"' .. at .. '"'
    .. (reason and ',"error":' .. json(reason) or '') .. '}'
end
