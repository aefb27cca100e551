-- End a run, whichever way: it has no progress, a final record with its TTL or none ('0'), and an event. `record` are the
-- fields to set. A `claimed` run has nothing left of those that wait (claim_one.lua).
local function end_run(run, progress, ttl_ms, record, channel, event, claimed)
  redis.call('DEL', progress)                                -- first: a full server accepts writes once memory is freed
  if ttl_ms == '0' then
    redis.call('DEL', run)
  else
    redis.call('HSET', run, unpack(record))
    if not claimed then redis.call('HDEL', run, 'known', 'stream_id', 'waiter_stream', 'waiter_entry_id') end
    if ttl_ms ~= '' then redis.call('PEXPIRE', run, ttl_ms) end   -- '' keeps it for ever
  end
  redis.call('PUBLISH', channel, event)
end
