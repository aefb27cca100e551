-- Put a message on the stream (due) or on the queue (later). fields[14] is the value of 'generation'.
local function place(run, parked, queue, stream, key, when, due, fields)
  local state, stream_id = 'scheduled', nil
  if due == '1' then
    state, stream_id = 'queued', redis.call('XADD', stream, '*', unpack(fields))
    redis.call('HSET', run, 'state', state, 'generation', fields[14], 'when', when, 'known', when,
      'function', fields[6], 'args', fields[8], 'kwargs', fields[10], 'stream_id', stream_id)
  else
    redis.call('ZADD', queue, when, key)                         -- refused first where the queue is none
    redis.call('HSET', parked, unpack(fields))
    redis.call('HSET', run, 'state', state, 'generation', fields[14], 'when', when, 'known', when,
      'function', fields[6], 'args', fields[8], 'kwargs', fields[10])
  end
end
-- Wake the schedulers if the queue's first task is `key`: nobody waits for an earlier one.
local function wake_if_first(queue, key, when, channel)
  if redis.call('ZRANGE', queue, 0, 0)[1] == key then redis.call('PUBLISH', channel, 'due ' .. when) end
end
