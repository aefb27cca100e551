-- The call that runs once more after the run of its key has ended (`if_running="once_more"`): at most one, the last that was added. It
-- is kept at `{prefix}:ops:successor:{key}`, the fields of its message and, as `s:...`, what placing it takes. The record of the run
-- has its generation in `successor`: so far above its own that no try of the run gets there. The last that was dropped has left its own in
-- `dropped`, also in the record of the run that follows. The zset `{prefix}:ops:successors` has the key, for those who look for them.
local function successor_lib(prefix)
  -- USE events numbers place expiring
  local all, ahead, lib = prefix .. ':ops:successors', 1000000, {}
  local function name_of(key) return prefix .. ':ops:successor:' .. key end
  local function time_now()
    local time = redis.call('TIME')
    return time[1] + time[2] / 1000000
  end
  -- Keep a call beside the run, of this generation, instead of the one that is there; returns the generation that it will have.
  -- `before` and `dropped` are the fields of the record.
  function lib.keep(key, generation, before, dropped, key_queue, when, ttl, call)
    local had, name = tonumber(before) or 0, name_of(key)
    local own = string.format('%d', had > 0 and had or math.max((whole(generation) or 0) + ahead, (whole(dropped) or 0) + 1))
    redis.call('ZADD', all, time_now(), key)                      -- first: it is refused where this is of another type
    redis.call('DEL', name)
    redis.call('HSET', name, 's:generation', own, 's:when', when, 's:ttl', ttl, 's:queue', key_queue, 'key', key, 'when', call[1],
      'function', call[2], 'args', call[3], 'kwargs', call[4], 'attempt', call[5], unpack(call, 6))
    redis.call('HSET', prefix .. ':runs:' .. key, 'successor', own)
    return own
  end
  function lib.forget(key)
    redis.call('DEL', name_of(key))
    redis.pcall('ZREM', all, key)
  end
  -- It will not run. The record says so to those who wait for it.
  function lib.drop(key, successor)
    if not whole(successor) then return false end
    lib.forget(key)
    redis.call('HDEL', prefix .. ':runs:' .. key, 'successor')
    redis.call('HSET', prefix .. ':runs:' .. key, 'dropped', successor)
    return true
  end
  -- The run has ended for good: place what is kept beside it, and note in the record how the run ended, as that of a chain does. `ended`
  -- are the fields that its final record would have, `event` is what is published of the end; with `noted` its failure is kept. Returns whether there was anything to place.
  function lib.place(stream, key, successor, generation, ended, event, noted)
    local flat = whole(successor) and redis.call('HGETALL', name_of(key)) or {}
    local kept, call, is_usual = {}, {}, {key = true, when = true, attempt = true, ['function'] = true, args = true, kwargs = true}
    for at = 1, #flat, 2 do
      local field = flat[at]
      if is_usual[field] or string.sub(field, 1, 2) == 's:' then kept[field] = flat[at + 1]
      else call[#call + 1], call[#call + 2] = field, flat[at + 1] end
    end
    if not kept['function'] then return false end
    local last, run, channel = {}, prefix .. ':runs:' .. key, prefix .. ':state:' .. key
    for at = 1, #ended, 2 do last[ended[at]] = ended[at + 1] end
    local when, moment, due = kept['s:when'], kept.when, '0'
    if (tonumber(when) or 0) <= time_now() then
      local ended_at = last.completed_at or ''                   -- nothing where its record was lost
      when, moment, due = string.format('%.6f', time_now()), ended_at ~= '' and ended_at or moment, '1'
    end
    local state, before = due == '1' and 'queued' or 'scheduled', redis.call('HGET', run, 'state')
    if event ~= '' then redis.call('PUBLISH', channel, event) end   -- first: whoever waits for what follows takes this for no end of it
    local waits = place(prefix, stream, kept['s:queue'], key, when, due, event_of(key, state, ',"when":' .. json(moment)), successor,
      {moment, kept['function'], kept.args, kept.kwargs, kept.attempt, unpack(call)},
      'last_generation', generation, 'last_state', last.state or '', 'last_completed_at', last.completed_at or '',
      'last_error', last.error or '', 'last_result_key', last.result_key or '')
    redis.call('HDEL', run, 'successor', 'claim', 'worker', 'started_at', 'asked', 'cancel_requested', 'admitted', 'attempt', 'tried',
      'nonce', 'groups', 'opened', 'named', 'group', 'expires', 'completed_at', 'error', 'result_key', 'ttl', 'noted',
      waits and 'ttl' or 'waiter_stream', waits and 'ttl' or 'waiter_entry_id', due == '1' and not waits and 'ttl' or 'stream_id')
    if kept['s:ttl'] ~= '-' then redis.call('HSET', run, 'ttl', kept['s:ttl']) end
    if noted then redis.call('HSET', run, 'noted', '1') end
    if before == 'completed' or before == 'failed' or before == 'cancelled' then redis.call('PERSIST', run) end
    if call[1] then expiring_lib(prefix).note_again(run, key, call, 1) end
    lib.forget(key)
    return true
  end
  return lib
end
