-- What a message says of its level, and whose turn it waits for; nil where it says nothing, as most do, that have the usual fields.
local function level_and_share(fields)
  local level, share = nil, nil
  for at = 1, #fields > 14 and #fields or 0, 2 do
    if fields[at] == 'docket:lane' then level = fields[at + 1]
    elseif fields[at] == 'docket:share' then share = fields[at + 1] end
  end
  return level, share
end
-- Put a message on the lane of a level, if that is one. Its id is the moment with a number of this lane; where there is one as high, the next.
-- Whoever reads does not know of a lane before it is told: by what is added to an empty one.
local last_added = {}                                          -- by lane, the id of what this script has added last
local function add_to_lane(call, stream, level, fields)
  -- USE lanes
  local digit = digits_by_lane[level]
  if not digit then return call('XADD', stream, '*', unpack(fields)) end
  local lane, last, ms, count = lane_named(stream, level), last_added[level], nil, nil
  if last then
    ms, count = string.match(last, '^(%d+)%-(%d+)$')
    count = count + 1
  else
    local time = redis.call('TIME')
    ms, count = time[1] * 1000 + math.floor(time[2] / 1000), digit * 100000000000000 + time[2] % 1000
  end
  local following = string.format('%.0f-%.0f', ms, count)
  local id = redis.pcall('XADD', lane, following, unpack(fields))
  if type(id) == 'table' and string.find(id.err, 'equal or smaller', 1, true) then
    id = call('XADD', lane, '*', unpack(fields))               -- behind a moment that is to come: the number of its last one, and one more
  elseif type(id) == 'table' then
    id = call('XADD', lane, following, unpack(fields))         -- refused again, in the way of the caller
  end
  if type(id) == 'table' then return id end
  last_added[level] = id
  if redis.call('XLEN', lane) == 1 then
    redis.call('PUBLISH', string.sub(stream, 1, -7) .. 'wake', 'lane ' .. level)
  end
  return id
end
-- Put a message on the stream, or on the lane of its level or of the turns of that, and record that its run is queued there; `...` are more fields to record. `call` is
-- redis.call, or redis.pcall where an error is the reply. Returns the id of the entry, and how many fields are new.
local function put_on_stream(call, stream, run, fields, ...)
  local level, share = level_and_share(fields)
  if share then level = ((level == 'high' or level == 'low') and level or 'normal') .. '-turns' end
  local id
  if level then id = add_to_lane(call, stream, level, fields) else id = call('XADD', stream, '*', unpack(fields)) end
  if type(id) == 'table' then return id end
  return id, call('HSET', run, 'state', 'queued', 'stream_id', id, ...)
end
