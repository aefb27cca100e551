-- What is kept of failures, for people: of each key the last one, at `{prefix}:ops:failure:{key}`, listed in `ops:failures` by
-- when it was, or in `ops:retrying` by when its next attempt is. Nothing here is part of an end that is written: what goes wrong
-- (a key of another type, a full server) is not said, and the end stands.
-- USE carry stream_of
local function failures_lib(prefix)
  local over, again, totals = prefix .. ':ops:failures', prefix .. ':ops:retrying', prefix .. ':ops:totals'
  local most_bytes, least_size, most_call, lib = 67108864, 4096, 65536, {}
  local function name_of(key) return prefix .. ':ops:failure:' .. key end
  -- Where a list has more than `kept`, or all have too many bytes, the first ones of the list go, or of the longer one: some at a
  -- time, which takes fewer commands for each. An entry counts for at least `least_size`, so that a large one never has to push
  -- out more than these.
  local function trim(list, kept, bytes)
    local count = redis.call('ZCARD', list)
    if count <= kept and bytes <= most_bytes then return end
    local other = list == over and again or over
    if count <= kept and redis.call('ZCARD', other) > count then list = other end
    local keys, names, freed = redis.call('ZRANGE', list, 0, math.min(24, math.floor(kept / 10))), {}, 0
    for at, key in ipairs(keys) do
      names[at] = name_of(key)
      freed = freed + (tonumber(redis.call('HGET', names[at], 'size')) or 0)
    end
    redis.call('DEL', unpack(names))
    redis.call('ZREM', list, unpack(keys))
    redis.call('HINCRBY', totals, 'bytes', -freed)
  end
  -- Remove what is kept of a key.
  function lib.drop(key)
    local size = redis.call('HGET', name_of(key), 'size')
    redis.call('DEL', name_of(key))
    redis.call('ZREM', over, key)
    redis.call('ZREM', again, key)
    if size then redis.call('HINCRBY', totals, 'bytes', -size) end
  end
  -- The call that was to be tried again will not be, and has not failed: it was cancelled, or another one has its key.
  function lib.give_up(key)
    if redis.call('ZSCORE', again, key) then lib.drop(key) end
  end
  -- What the record of a key has of its message: only the name of the task where that is large.
  function lib.recorded(key, is_large)
    local names, fields = {'function', 'args', 'kwargs'}, {}
    for at, text in ipairs(redis.call('HMGET', prefix .. ':runs:' .. key, unpack(names, 1, is_large and 1 or 3))) do
      if text then fields[#fields + 1], fields[#fields + 2] = names[at], text end
    end
    return fields
  end
  -- Keep a failure of a key. `next_at` is when the next attempt is (ms), '' where there is none; with `goes_on` '1' the chain of
  -- the key goes on. `message` are the fields of the message; arguments are left out where they are large. `kept` and `ttl_ms` are
  -- how many failures are kept and for how long (readers leave out what is older; the sweep removes it, and after another day the
  -- server).
  function lib.keep(key, next_at, goes_on, message, worker, ttl_ms, kept, failed_at, attempt, kind, why, traceback,
      started_at)
    local name = name_of(key)
    local before = redis.call('HMGET', name, 'size', 'count', 'first_failed_at')
    local fields = {'type', kind, 'error', why, 'traceback', traceback, 'worker', worker, 'started_at', started_at, 'failed_at', failed_at,
      'first_failed_at', before[3] or failed_at, 'count', string.format('%d', (tonumber(before[2]) or 0) + 1),
      'next_at', next_at, 'goes_on', goes_on, 'attempt', attempt}
    local size, call = #key * 3, 0
    for at = 2, #message, 2 do call = call + #message[at - 1] + #message[at] end
    for at = 1, #message, 2 do
      local field = message[at]
      if field == 'function' or call <= most_call then
        fields[#fields + 1], fields[#fields + 2] = 'm:' .. field, message[at + 1]
      end
    end
    for _, text in ipairs(fields) do size = size + #text end
    if size < least_size then size = least_size end
    if before[1] then redis.call('DEL', name) end
    redis.call('HSET', name, 'size', size, unpack(fields))
    redis.call('PEXPIRE', name, ttl_ms + 86400000)           -- whatever the lists are
    local list, other = over, again
    if next_at ~= '' then list, other = again, over end
    redis.call('ZADD', list, next_at ~= '' and next_at or failed_at, key)
    if before[1] then redis.call('ZREM', other, key) end
    local bytes = redis.call('HINCRBY', totals, 'bytes', size - (tonumber(before[1]) or 0))
    for _, each in ipairs({list, totals}) do redis.call('PEXPIRE', each, ttl_ms + 86400000) end
    trim(list, tonumber(kept), bytes)
  end
  -- The same of a delivery that ends. `with_call` '0' says that its arguments are too large to be kept.
  function lib.keep_of(stream, id, key, next_at, goes_on, worker, with_call, ...)
    local entry = with_call == '1' and redis.call('XRANGE', stream_of(stream, id), id, id)[1]
    lib.keep(key, next_at, goes_on, entry and carry(entry[2]) or lib.recorded(key, with_call == '0'), worker, ...)
  end
  function lib.try(what, ...) pcall(lib[what], ...) end
  return lib
end
