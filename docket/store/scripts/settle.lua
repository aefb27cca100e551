-- Write the final state of one claim and acknowledge its delivery.
-- KEYS stream result_key queue reserved_queue
-- ARGV message_id generation claim holder group ttl_ms state_event wake_channel prefix key slots result record...
-- REPLY 'OK' | 'SUPERSEDED' | 'LOST'; the arguments as in lib/settle.lua
-- USE ack settle finish
local settled = settle_claim(prefix, stream, group, wake_channel, message_id, generation, claim, holder, key, slots, record,
  state_event, ttl_ms, result_key, result)
if settled == 'OK' then ack(stream, group, message_id) end   -- I1; where this is refused (no stream), the caller tries again
publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
return settled
