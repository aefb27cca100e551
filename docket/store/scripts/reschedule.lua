-- End one claim and place the next run of its key (a retry, a perpetual task) in the same step.
-- KEYS stream queue reserved_queue
-- ARGV prefix group worker ended_at wake_channel ended...
-- REPLY 'OK' | 'SUPERSEDED' | 'LOST' | 'ASKED'; `ended` as in lib/follow.lua. ASKED: its cancellation was requested, and the
--   caller settles
-- USE ack follow finish
local settled = follower(prefix, stream, group, wake_channel, worker, ended_at)(unpack(ended))
if settled == 'OK' then ack(stream, group, ended[1])         -- I1
elseif settled ~= 'ASKED' then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
return settled
