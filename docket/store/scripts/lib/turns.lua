-- Fair shares. A message whose field `docket:share` says '<weight> <argument>:<value>' takes turns with those of other values: it waits in the
-- row of its value, `{prefix}:ops:row:{level}:{argument}:{value}:`, whose waiters are a stream as those of a limit are (lib/slots.lua).
-- `{prefix}:ops:turns:{level}` is a zset of the rows by their turns; while it is there, `{prefix}:waiting` has its name. A row that begins
-- comes in a hair less than one turn behind the first, and after each of its messages it is one turn later: a turn is 1 / weight. The first row's first message is *drawn*:
-- it goes to the lane of the turns of its level, `{level}-turns`, and is like any other from then on. Nothing else is kept of a value.
-- Invariant: while rows of a level wait, a message is on that lane which nobody was given, so whoever is idle wakes. Whoever takes one off
-- the lane draws another (`top_up`). '+' before the weight says that the message has had its turn: it is not put in a row any more.
-- `stream` is that of the docket.
local function turns_lib(stream)
  -- USE lanes rows stream_of queued events
  local prefix, lib = string.sub(stream, 1, -8), {}
  local waiting, heaviest, lightest, most_steps = prefix .. ':waiting', 1000, 0.001, 60
  local function turns_of(level) return turns_named(prefix, level) end
  local function row_of(level, name) return row_named(prefix, level, name) end
  -- How much later a row is after one message. Anybody may have written its weight.
  local function turn_of(weight)
    local given = tonumber(weight) or 1
    if not (given >= lightest) then given = lightest end
    return 1 / math.min(given, heaviest)
  end
  -- Whether a message has had its turn, the weight, and the name of the row, as its field says.
  local function read(share) return string.match(share, '^(%+?)(%d[%d.]*) (.+)$') end
  -- How many messages are on the lane of turns that nobody was given.
  local function undelivered(level)
    local lane = lane_named(stream, level .. '-turns')
    local length = redis.call('XLEN', lane)
    local pending = length > 0 and redis.pcall('XPENDING', lane, 'docket-workers') or {0}
    return pending.err and length or length - pending[1]       -- without a group nobody was given any
  end
  -- Forget a row if nobody waits in it any more.
  local function leave_if_empty(level, name)
    local row, turns = row_of(level, name), turns_of(level)
    local length = redis.pcall('XLEN', row)                    -- nobody waits in what is no stream (I9)
    if type(length) == 'number' and length > 0 then return false end
    if length == 0 then redis.call('DEL', row) end
    redis.call('ZREM', turns, name)
    if redis.call('EXISTS', turns) == 0 then redis.call('SREM', waiting, turns) end
    return true
  end
  -- Draw the first message of the first row: whether that went to the lane, or was one that nobody waits for any more; nil where no row is left.
  local function draw(level)
    local turns = turns_of(level)
    local first = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
    if not first[1] then return nil end
    local name, row = first[1], row_of(level, first[1])
    local found = redis.pcall('XRANGE', row, '-', '+', 'COUNT', 1)
    local id, fields = unpack(not found.err and found[1] or {})
    if not id then
      leave_if_empty(level, name)
      return false
    end
    local key, generation, weight
    for at = 1, #fields, 2 do
      if fields[at] == 'key' then key = fields[at + 1]
      elseif fields[at] == 'generation' then generation = fields[at + 1]
      elseif fields[at] == 'docket:share' then weight = select(2, read(fields[at + 1])) end
    end
    local run = prefix .. ':runs:' .. (key or '')
    local now = redis.pcall('HMGET', run, 'state', 'generation', 'waiter_stream', 'waiter_entry_id')
    local lives = now[1] == 'scheduled' and now[2] == generation and now[3] == row and now[4] == id   -- else pydocket cancelled or replaced it
    if lives then
      put_on_stream(redis.call, stream, run, fields)
      redis.call('HDEL', run, 'waiter_stream', 'waiter_entry_id')
    end
    redis.call('XDEL', row, id)
    if not leave_if_empty(level, name) then redis.call('ZADD', turns, first[2] + turn_of(weight), name) end
    if lives then redis.call('PUBLISH', prefix .. ':state:' .. key, event_of(key, 'queued')) end
    return lives
  end
  -- Have at least `wanted` messages on the lane of a level that nobody was given, if so many wait. Where this step comes upon too many that
  -- nobody waits for any more, a worker goes on.
  function lib.top_up(level, wanted)
    if redis.call('EXISTS', turns_of(level)) == 0 then return end
    local there, steps = undelivered(level), 0
    while there < wanted do
      if steps == most_steps then
        redis.call('PUBLISH', prefix .. ':wake', 'turns ' .. level)
        return
      end
      local drawn = draw(level)
      if drawn == nil then return end
      if drawn then there = there + 1 end
      steps = steps + 1
    end
  end
  -- Have a message wait in its row, if it is to; else nil: the caller puts it on the stream. `...` are fields of its record. Returns
  -- as `put_on_stream` (lib/queued.lua) does, but that the fields which say where it waits count for one; then the event that it waits.
  function lib.take_turn(call, level, share, run, fields, ...)
    local had, weight, name = read(share)
    if not name or had == '+' then return nil end
    if not digits_by_lane[level] then level = 'normal' end
    local turns, row = turns_of(level), row_of(level, name)
    local first = call('ZRANGE', turns, 0, 0, 'WITHSCORES')
    if first.err then return first end
    if first[1] and redis.call('EXISTS', lane_named(stream, level .. '-turns')) == 0 then
      lib.top_up(level, 1)                                     -- somebody has deleted the lane: nobody who takes would draw
      first = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
    end
    if not first[1] and undelivered(level) < 1 then return nil end   -- it would be drawn at once
    local id = call('XADD', row, '*', unpack(fields))
    if type(id) == 'table' then return id end
    redis.call('ZADD', turns, 'NX', (first[2] or 0) + turn_of(weight) * 0.999999, name)   -- before those that had one since
    if not first[1] then redis.call('SADD', waiting, turns) end
    local fresh = redis.call('HSET', run, 'state', 'scheduled', 'waiter_stream', row, 'waiter_entry_id', id, ...) - 1
    local key, moment
    for at = 1, #fields, 2 do
      if fields[at] == 'key' then key = fields[at + 1] elseif fields[at] == 'when' then moment = fields[at + 1] end
    end
    return id, fresh, event_of(key, 'scheduled', ',"when":' .. json(moment or ''))
  end
  -- The level of which `name` are the turns, if it is of one.
  function lib.level_of(name)
    local level = string.sub(name, 1, #prefix + 11) == prefix .. ':ops:turns:' and string.sub(name, #prefix + 12)
    return level and digits_by_lane[level .. '-turns'] and level or nil
  end
  -- The stream of those who wait in the first row; nil where nobody does.
  function lib.first_row(level)
    local first = redis.call('ZRANGE', turns_of(level), 0, 0)[1]
    return first and row_of(level, first)
  end
  -- Take an entry from a row; whether `waiters` is one.
  function lib.leave(waiters, id)
    if string.sub(waiters, 1, #prefix + 9) ~= prefix .. ':ops:row:' then return false end
    local level, name = string.match(string.sub(waiters, #prefix + 10), '^(%a+):(.*)::waiters$')
    if not name then return false end
    redis.pcall('XDEL', waiters, id)
    leave_if_empty(level, name)
    return true
  end
  -- A delivery is gone that nobody was given, or was given: if it was on the lane of a level's turns, another follows.
  function lib.follow(id)
    local level = string.match(stream_of(stream, id), ':ops:lane:(%a+)%-turns$')
    if level then lib.top_up(level, 1) end
  end
  return lib
end
