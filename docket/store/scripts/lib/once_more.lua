-- What becomes of a call that is to run once more after what its key has. After a run that has begun, which is one that runs, is to be
-- tried again, has groups open or is a child of one, it is kept (lib/successor.lua). A run that has not begun gives way to it: the last
-- arguments count. There it keeps its moment, or its place, if it is the same call; else it goes to the end of those that are due, but
-- not for ever: what has been due for a minute stays, and is followed.
-- Returns the reply of schedule.lua where that is all; else nil, what `replace` is then ('1', or '0' where the key is free), and when it
-- is due: `when`, `due` and `event`. `call` as in lib/place.lua; its moment is changed, too.
local function once_more(prefix, stream, group, key, key_queue, when, due, event, ttl, call)
  -- USE alive events numbers place stream_of successor
  local run, queue, reserved_queue = prefix .. ':runs:' .. key, prefix .. ':queue', prefix .. ':parked'
  local now = redis.call('HMGET', run, 'state', 'generation', 'known', 'stream_id', 'waiter_stream', 'waiter_entry_id', 'when', 'attempt',
    'groups', 'group', 'successor', 'dropped')
  local state, lib = now[1], successor_lib(prefix)
  if not ((now[3] or state == 'running' or (state == 'scheduled' and now[5]))
    and is_alive(run, key, stream, group, queue, reserved_queue)) then
    if now[11] then lib.drop(key, now[11]) end                 -- whoever ended the run knows of none
    return nil, '0', when, due, event
  end
  local message, is_parked = {}, false
  local function read(reply, fields)
    for at = 1, reply.err and 0 or #fields, 2 do message[fields[at]] = fields[at + 1] end
  end
  local function read_entry(name, id)
    local found = redis.pcall('XRANGE', name, id, id)
    read(found, found[1] and found[1][2] or {})
  end
  local has_begun = state == 'running' or now[9] or now[10] or whole(now[11]) or (whole(now[8]) or 1) > 1
  if not has_begun then
    if now[5] and now[6] then read_entry(now[5], now[6])
    elseif state == 'queued' and now[4] then read_entry(stream_of(stream, now[4]), now[4])
    elseif state == 'scheduled' and redis.call('ZSCORE', key_queue, key) then
      local fields = redis.pcall('HGETALL', parked_at(prefix, key_queue, key))
      read(fields, fields)
      is_parked = true
    end
  end
  local time, since = redis.call('TIME'), tonumber(now[7])
  local at = time[1] + time[2] / 1000000
  if has_begun or not message['function'] or not since or (whole(message.attempt) or 1) > 1 or (not is_parked and at - since >= 60) then
    return 'NEXT ' .. lib.keep(key, now[2], now[11], now[12], key_queue, when, ttl, call)
  end
  if due == '1' or since >= tonumber(when) then
    local further = {}
    for f = 6, #call, 2 do further[call[f]] = call[f + 1] end
    local is_same = ttl == '-' and message['function'] == call[2] and message.args == call[3] and message.kwargs == call[4]
    for _, field in ipairs({'docket:expires', 'docket:once', 'docket:lane'}) do is_same = is_same and message[field] == further[field] end
    if is_same and not further['docket:expires'] then return 'EXISTS ' .. (now[2] or '0') end
    when, call[1], due = now[7], message.when, since <= at and '1' or '0'
    event = event_of(key, due == '1' and 'queued' or 'scheduled', ',"when":' .. json(call[1]))
  end
  return nil, '1', when, due, event
end
