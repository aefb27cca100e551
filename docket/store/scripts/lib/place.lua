-- Where the message of a key is parked: beside its queue, which is that of the docket or the one for reserved names.
local function parked_at(prefix, key_queue, key)
  return (key_queue == prefix .. ':queue' and prefix or key_queue) .. ':' .. key
end
-- Place a message under its key: on the stream where it is `due` ('1'), else on the queue. `when` is the epoch of its moment;
-- `call` has that moment, the name of the task, its two kinds of arguments, the attempt, and further fields of the message;
-- `...` are further fields of the record. Returns whether it waits for its turn, in a row that the record names.
-- USE queue_up
local function place(prefix, stream, key_queue, key, when, due, event, generation, call, ...)
  local moment, task, args, kwargs, attempt = unpack(call, 1, 5)
  local run, waits = prefix .. ':runs:' .. key, nil
  local fields = {'key', key, 'when', moment, 'function', task, 'args', args, 'kwargs', kwargs, 'attempt', attempt,
    'generation', generation, unpack(call, 6)}
  if due == '1' then
    waits = select(3, queue_up(redis.call, stream, run, fields, 'generation', generation, 'when', when, 'known', when,
      'function', task, 'args', args, 'kwargs', kwargs, ...))
    event = waits or event
  else
    redis.call('ZADD', key_queue, when, key)                   -- first: it is refused where this is no queue
    redis.call('HSET', parked_at(prefix, key_queue, key), unpack(fields))
    redis.call('HSET', run, 'state', 'scheduled', 'generation', generation, 'when', when, 'known', when,
      'function', task, 'args', args, 'kwargs', kwargs, ...)
  end
  redis.call('PUBLISH', prefix .. ':state:' .. key, event)
  if due == '0' and redis.call('ZRANGE', key_queue, 0, 0)[1] == key then   -- no scheduler waits for an earlier task
    redis.call('PUBLISH', prefix .. ':wake', 'due ' .. when)
  end
  return waits ~= nil
end
