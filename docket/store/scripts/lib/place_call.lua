-- Place a call under its key, which may be in use, where what it has gives way to it (lib/vacate.lua). `call` is as in
-- lib/place.lua; `ttl` is what the caller gave for the task (lib/kept.lua), '-' for nothing; `child_of` the group of which it is a child.
-- Returns the reply of schedule.lua, and whether the call is placed.
-- USE place vacate
local function place_call(prefix, stream, group, key, key_queue, is_used, replace, rescheduled, expected, when, due, event, ttl, child_of, call)
  local generation, no, give_back = 0, expected ~= '0' and 'SUPERSEDED', nil
  if is_used then
    generation, no, give_back =
      vacate(prefix, stream, group, prefix .. ':runs:' .. key, key, key_queue, prefix .. ':queue', replace, rescheduled, expected)
  end
  if no then return no .. ' ' .. generation, false end
  generation = string.format('%d', generation + 1)           -- I5: whatever is older is refused from here on
  local more = {}
  if call[5] ~= '1' then more = {'attempt', call[5]} end
  if ttl ~= '-' then more[#more + 1], more[#more + 2] = 'ttl', ttl end
  if child_of then more[#more + 1], more[#more + 2] = 'group', child_of end
  place(prefix, stream, key_queue, key, when, due, event, generation, call, unpack(more))
  if give_back then give_back() end
  return 'OK ' .. generation, true
end
