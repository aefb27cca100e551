-- Give one claim back: its message is queued again at once, the attempt not counted.
-- KEYS run stream progress queue reserved_queue
-- ARGV message_id generation claim holder group key now_epoch state_channel wake_channel
-- REPLY 'OK' | 'SUPERSEDED' | 'LOST'
-- USE json ack fence carry finish
local live = check_fence(run, stream, group, message_id, generation, claim, holder)
local entry = live == 'LIVE' and redis.call('XRANGE', stream, message_id, message_id)[1]
if not entry then
  if live == 'LIVE' then                                     -- somebody trimmed the stream
    redis.call('XACK', stream, group, message_id)
    live = 'LOST'
  end
  tell_if_finished(stream, queue, reserved_queue, wake_channel)
  return live
end
local fresh = redis.call('XADD', stream, '*', unpack(carry(entry[2])))
ack(stream, group, message_id)                               -- I1
redis.call('HSET', run, 'state', 'queued', 'known', now_epoch, 'stream_id', fresh)
redis.call('HDEL', run, 'claim', 'worker', 'started_at')
redis.call('DEL', progress)
redis.call('PUBLISH', state_channel, '{"type":"state","key":' .. json(key) .. ',"state":"queued"}')
return 'OK'
