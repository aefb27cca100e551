-- Place a message under its key: on the stream where it is `due` ('1'), else on the queue. fields[14] is the generation.
-- USE queued
local function place(run, parked, key_queue, stream, key, when, due, fields, state_channel, state_event, wake_channel)
  if due == '1' then
    put_on_stream(redis.call, stream, run, fields, 'generation', fields[14], 'when', when, 'known', when,
      'function', fields[6], 'args', fields[8], 'kwargs', fields[10])
  else
    redis.call('ZADD', key_queue, when, key)                   -- first: it is refused where this is no queue
    redis.call('HSET', parked, unpack(fields))
    redis.call('HSET', run, 'state', 'scheduled', 'generation', fields[14], 'when', when, 'known', when,
      'function', fields[6], 'args', fields[8], 'kwargs', fields[10])
  end
  redis.call('PUBLISH', state_channel, state_event)
  if due == '0' and redis.call('ZRANGE', key_queue, 0, 0)[1] == key then   -- no scheduler waits for an earlier task
    redis.call('PUBLISH', wake_channel, 'due ' .. when)
  end
end
