-- End one claim and place the next run of its key (a retry, a perpetual task) in the same step.
-- KEYS run parked key_queue stream progress queue reserved_queue
-- ARGV message_id claimed_generation claim holder group key when due state_channel state_event wake_channel prefix slots same fields...
-- REPLY 'OK' | 'SUPERSEDED' | 'LOST' | 'ASKED'; `slots` as in settle.lua; with `same` '1' the run is not over, and what
--   admission it has stays; 'ASKED': it is to be cancelled, and the caller settles
-- USE json ack fence place finish slots
local live, reserved = check_fence(run, stream, group, message_id, claimed_generation, claim, holder)
local function let_go()
  if slots ~= '' or reserved then
    local lib = limits_lib()
    lib.release(lib.site_of(prefix, stream, wake_channel), slots, key, message_id, claimed_generation, reserved)
  end
end
if live ~= 'LIVE' then
  if live == 'SUPERSEDED' then let_go() end
  tell_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  return live
end
if redis.call('HGET', run, 'cancel_requested') == claimed_generation then return 'ASKED' end
fields[14] = tonumber(claimed_generation) + 1
redis.call('DEL', progress)                                  -- first: a full server lets go on who has freed something
place(run, parked, key_queue, stream, key, when, due, fields)  -- before the claim ends: it may be refused
if same == '1' and redis.call('HGET', run, 'admitted') == claimed_generation then
  redis.call('HSET', run, 'admitted', fields[14])
end
redis.call('HDEL', run, 'claim', 'worker', 'started_at', 'cancel_requested')
ack(stream, group, message_id)                               -- I1
redis.call('PUBLISH', state_channel, state_event)
if due == '0' then wake_if_first(key_queue, key, when, wake_channel) end
let_go()
return 'OK'
