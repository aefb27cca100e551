-- Take a run from where it waits: its entry off the stream, its key and its message off the queue. pydocket parks every
-- key alike, so a key that is ours to keep apart may lie over there; what has that name without being the key's message
-- (the stream, a record) is left alone.
-- USE ack slots turns_on
local function unplace(stream, group, stream_id, key, parked, key_queue, queue, plain_parked)
  if stream_id then
    ack(stream, group, stream_id)
    if stream_of(stream, stream_id) ~= stream then turns_on(stream).follow(stream_id) end
  end
  redis.call('DEL', parked)
  redis.call('ZREM', key_queue, key)
  if key_queue ~= queue and redis.call('ZREM', queue, key) == 1 then
    local found = redis.pcall('HMGET', plain_parked, 'key', 'state')
    if not found.err and found[1] == key and not found[2] then redis.call('DEL', plain_parked) end
  end
end
-- Take a run that has ended or was replaced from the row of waiters, and from its limits what is `reserved` for it.
local function leave_limits(prefix, stream, wake_channel, key, waiters, entry, reserved)
  if not entry and not reserved then return end
  if waiters and entry and string.find(waiters, ':ops:row:', 1, true) and turns_on(stream).leave(waiters, entry) then
    entry = nil
  end
  local lib = limits_lib()
  local site = lib.site_of(prefix, stream, wake_channel)
  if waiters and entry then lib.unqueue(site, waiters, entry) end
  if reserved then lib.forget(site, key, reserved) end
end
