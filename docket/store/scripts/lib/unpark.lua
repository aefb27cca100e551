-- Take a key off the queue with its parked message. pydocket parks every key alike, so one that is ours to keep apart
-- may lie over there; what has that name without being the key's message (the stream, a record) is left alone.
local function unpark(key, parked, key_queue, queue, plain_parked)
  redis.call('DEL', parked)
  redis.call('ZREM', key_queue, key)
  if key_queue ~= queue and redis.call('ZREM', queue, key) == 1 then
    local found = redis.pcall('HMGET', plain_parked, 'key', 'state')
    if not found.err and found[1] == key and not found[2] then redis.call('DEL', plain_parked) end
  end
end
