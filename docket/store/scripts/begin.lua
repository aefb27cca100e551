-- Claim a run by hand, for a program that is its own worker: the given delivery, or the entry on the stream.
-- KEYS run stream
-- ARGV prefix group worker started_at key generation message_id
-- REPLY {'OK' | 'SUPERSEDED' | 'CANCELLED', claim, id of the delivery}
-- USE ack claim_one
local now = redis.call('HMGET', run, 'state', 'stream_id')
local id = message_id
if id == '' then
  if now[1] == 'running' then return {'SUPERSEDED', 0, ''} end    -- somebody has read it
  id = now[2] or '0-0'
end
if now[1] == 'completed' or now[1] == 'failed' then
  ack(stream, group, id)
  return {'SUPERSEDED', 0, ''}
end
local reply, claim = claimer(prefix, stream, group, worker, started_at, '').one(id, key, generation)
return {reply, claim, id}
