-- End a run that was claimed: a final record with its TTL or none ('0'), and an event. `...` are the fields to set.
local function end_claimed(run, ttl_ms, channel, event, ...)
  if ttl_ms == '0' then
    redis.call('DEL', run)
  else
    redis.call('HSET', run, ...)
    if ttl_ms ~= '' then redis.call('PEXPIRE', run, ttl_ms) end   -- '' keeps it for ever
  end
  redis.call('PUBLISH', channel, event)
end
-- End a run that may wait, by the fields of `record`: it has no progress, and nothing left of what those that wait have.
local function end_run(run, progress, ttl_ms, record, channel, event)
  redis.call('DEL', progress)                                -- first: a full server accepts writes once memory is freed
  redis.call('HDEL', run, 'known', 'stream_id', 'waiter_stream', 'waiter_entry_id', 'expires')
  end_claimed(run, ttl_ms, channel, event, unpack(record))
end
