-- Give one claim back: its message is queued again at once, the attempt not counted.
-- KEYS run stream progress queue reserved_queue
-- ARGV message_id generation claim holder group key now_epoch state_channel wake_channel prefix slots
-- REPLY 'OK' | 'SUPERSEDED' | 'LOST'; `slots` as in settle.lua. What is kept for a run that has not begun stays so.
-- USE json ack fence carry finish slots
local live = check_fence(run, stream, group, message_id, generation, claim, holder)
local function let_go()
  if slots == '' then return end
  local lib = limits_lib()
  lib.release(lib.site_of(prefix, stream, wake_channel), slots, key, message_id, generation)
end
local entry = live == 'LIVE' and redis.call('XRANGE', stream, message_id, message_id)[1]
if not entry then
  if live == 'LIVE' then                                     -- somebody trimmed the stream
    redis.call('XACK', stream, group, message_id)
    live = 'LOST'
    let_go()
  elseif live == 'SUPERSEDED' then
    let_go()
  end
  tell_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  return live
end
redis.call('DEL', progress)                                  -- first: a full server lets go on who has freed something
local fresh = redis.call('XADD', stream, '*', unpack(carry(entry[2])))
ack(stream, group, message_id)                               -- I1
redis.call('HSET', run, 'state', 'queued', 'known', now_epoch, 'stream_id', fresh)
redis.call('HDEL', run, 'claim', 'worker', 'started_at')
redis.call('PUBLISH', state_channel, '{"type":"state","key":' .. json(key) .. ',"state":"queued"}')
let_go()
return 'OK'
