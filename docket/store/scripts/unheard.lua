-- Claim what the server has given to this process in answers that were lost. Idle times do not show whose a delivery is: it
-- is ours if one of our requests whose answer was lost has claimed it, or if a blocking read has brought it and nobody has
-- claimed it since. What another process of the same name runs was claimed by a request of its own.
-- KEYS stream queue reserved_queue strikes
-- ARGV prefix group worker started_at wake_channel asked count questions_and_ids...
-- REPLY as take.lua; the first `count` of `questions_and_ids` are the requests
-- USE holds lease stream_of claim_one finish forget strikes pauses
local ours, reply, refused, over = {}, {'', ''}, false, {}
local paused, wrong = paused_tasks(prefix)
if wrong then return wrong end
local claim_entry = claimer(prefix, stream, group, worker, started_at, asked, over, paused).entry
for at = 1, tonumber(count) do ours[questions_and_ids[at]] = true end
local function is_ours(id, fields)
  for at = 1, #fields, 2 do
    if fields[at] == 'key' then
      local now = redis.pcall('HMGET', prefix .. ':runs:' .. fields[at + 1], 'claim', 'asked', 'state', 'worker', 'stream_id')
      if now.err then return true end                          -- BROKEN: it is set aside
      if now[1] and string.sub(now[1], 1, #id + 1) == id .. '.' then return now[2] and ours[now[2]] end
      return not (now[3] == 'running' and now[4] == worker and not now[1])   -- one of pydocket's, of the same name
    end
  end
  return true                                                  -- UNREADABLE
end
for at = tonumber(count) + 1, #questions_and_ids do
  local id = questions_and_ids[at]
  local times = holds(stream, group, worker, id)
  local entry = times and redis.call('XRANGE', stream_of(stream, id), id, id)[1]
  if entry and is_ours(id, entry[2]) then
    refused = claim_entry(reply, entry, times) or refused
    lease_again(stream, group, worker, {id})
  end
end
if not reply[3] then return reply end
forget_all(over)
if refused then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
reply[1] = last_strike(strikes)
return reply
