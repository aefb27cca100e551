-- Write the final state of one claim and acknowledge its delivery.
-- KEYS stream queue reserved_queue
-- ARGV prefix group worker ended_at wake_channel ended...
-- REPLY 'OK' | 'SUPERSEDED' | 'LOST'; `ended` as in lib/settle.lua
-- USE ack settle finish
local settled = settler(prefix, stream, group, wake_channel, worker, ended_at)(unpack(ended))
if settled == 'OK' then ack(stream, group, ended[1]) end     -- I1; where this is refused (no stream), the caller tries again
publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
return settled
