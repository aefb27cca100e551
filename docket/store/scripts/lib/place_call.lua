-- Place a call under its key, which may be in use, where what it has gives way to it (lib/vacate.lua). `call` is as in
-- lib/place.lua; `ttl` is what the caller gave for the task (lib/kept.lua), '-' for nothing; `child_of` the group of which it is a child.
-- Returns the reply of schedule.lua, and whether the call is placed. `expired` is what lib/place_expired.lua is told of one that expires before
-- it can be placed, which counts as placed.
-- `replace` is '2' for one that is to run once more after what the key has.
-- USE place vacate expiring place_expired
local function run_once_more(...)
  -- USE once_more
  return once_more(...)
end
local function place_call(prefix, stream, group, key, key_queue, is_used, replace, rescheduled, expected, when, due, event, ttl, child_of, call, expired)
  local generation, no, give_back = 0, expected ~= '0' and 'SUPERSEDED', nil
  local lib, expires = call[6] == 'docket:expires' and expiring_lib(prefix), nil
  if lib then
    expires = tonumber(call[7])
    if expires and string.sub(call[7], 1, 1) == '+' then expires = lib.now + expires / 1000 end
    if expires then call[7] = string.format('%.6f', expires) end
  end
  if is_used and replace == '2' then
    local reply
    reply, replace, when, due, event = run_once_more(prefix, stream, group, key, key_queue, when, due, event, ttl, call)
    if reply then return reply, false end
  end
  if is_used then
    generation, no, give_back =
      vacate(prefix, stream, group, prefix .. ':runs:' .. key, key, key_queue, prefix .. ':queue', replace, rescheduled, expected)
  end
  if no then return no .. ' ' .. generation, false end
  generation = string.format('%d', generation + 1)           -- I5: whatever is older is refused from here on
  if expires and expired and lib.has_passed(expires) then
    place_expired(prefix, stream, key, when, generation, call, ttl, expired, child_of)
    if give_back then give_back() end
    return 'EXPIRED ' .. generation, true
  end
  local more = {}
  if call[5] ~= '1' then more = {'attempt', call[5]} end
  if ttl ~= '-' then more[#more + 1], more[#more + 2] = 'ttl', ttl end
  if child_of then more[#more + 1], more[#more + 2] = 'group', child_of end
  place(prefix, stream, key_queue, key, when, due, event, generation, call, unpack(more))
  if expires then lib.note(prefix .. ':runs:' .. key, key, call[7]) end
  if give_back then give_back() end
  return 'OK ' .. generation, true
end
