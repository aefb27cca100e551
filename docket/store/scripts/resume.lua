-- Move up to `limit` of the messages that wait for a task to be resumed back to the stream, in their order.
-- KEYS stream pauses limits waiting queue reserved_queue
-- ARGV prefix task limit begins wake_channel
-- REPLY {whether the task was paused, how many were moved, how many are left}; with `begins` '1' the task is resumed first.
--   Without that a task that is paused (again) stays so, and nothing is left to do.
-- USE errors events numbers queue_up finish
local name = prefix .. ':ops:pause:' .. task .. ':'
local row = name .. ':waiters'
if begins ~= '1' and redis.call('HGET', pauses, task) then return {0, 0, 0} end
local was = redis.call('HDEL', pauses, task)                   -- first: after it a full server accepts what moves
local time = redis.call('TIME')
local now, moved, done = time[1] + time[2] / 1000000, 0, {}
local entries = redis.pcall('XRANGE', row, '-', '+', 'COUNT', limit)
if entries.err and is_refusal(entries.err) then return entries end
local function move(id, fields)
  local key, at, generation
  for f = 1, #fields, 2 do
    if fields[f] == 'key' then key = fields[f + 1]
    elseif fields[f] == 'generation' then at, generation = f + 1, fields[f + 1] end
  end
  local run = prefix .. ':runs:' .. (key or '')
  local found = redis.pcall('HMGET', run, 'state', 'generation', 'waiter_stream', 'waiter_entry_id', 'admitted')
  if not at or found.err or found[1] ~= 'scheduled' or found[2] ~= generation or found[3] ~= row or found[4] ~= id then
    return                                                     -- cancelled or replaced by pydocket, or moved before
  end
  generation = string.format('%d', (whole(generation) or 0) + 1)
  fields[at] = generation
  local more = found[5] == found[2] and {'admitted', generation} or {}
  local _, _, waits = queue_up(redis.call, stream, run, fields, 'generation', generation, 'known', now, unpack(more))
  if not waits then
    redis.call('HDEL', run, 'waiter_stream', 'waiter_entry_id')
    redis.call('PUBLISH', prefix .. ':state:' .. key, event_of(key, 'queued'))
  end
  moved = moved + 1
end
for at, entry in ipairs(entries) do
  move(entry[1], entry[2])
  done[at] = entry[1]
end
if #done > 0 then redis.call('XDEL', row, unpack(done)) end
local left = not entries.err and redis.call('XLEN', row) or 0
if left == 0 then
  if not entries.err then redis.call('DEL', row) end           -- what is no stream is not ours
  redis.call('SREM', waiting, name)
  redis.call('HDEL', limits, name)
end
if was == 1 then redis.call('PUBLISH', wake_channel, 'resumed ' .. task) end
if #done > moved then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
return {was, moved, left}
