-- Make the stream and its consumer group if they are not there, and the groups of the lanes that are there.
-- KEYS stream
-- ARGV group served...
-- REPLY {the levels that have lanes...}; the lanes of the levels that are `served` are made, too, and those of turns that somebody waits
--   for: one that was deleted is drawn for again
-- USE lanes rows streams
local function make(name)
  local create = {'XGROUP', 'CREATE', name, group, '0-0', 'MKSTREAM'}
  local made = redis.pcall(unpack(create))
  -- That it is there already is no error: a client would load redis-py for it.
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
    redis.call(unpack(create))  -- fails again, in the words that errors of scripts have
  end
end
for _, level in ipairs(served) do make(lane_named(stream, level)) end
local all, turns = {'high', 'normal', 'low'}, {}
for at, level in ipairs(all) do turns[at] = turns_named(string.sub(stream, 1, -8), level) end
if redis.call('EXISTS', unpack(turns)) > 0 then                -- as on few dockets
  for at, level in ipairs(all) do
    if redis.call('EXISTS', turns[at]) == 1 then make(lane_named(stream, level .. '-turns')) end
  end
end
local levels = {}
for level, name in pairs(streams_of(stream)) do
  make(name)
  if name ~= stream then levels[#levels + 1] = level end
end
return levels
