-- Claim deliveries that a blocking read or a redelivery sweep has brought.
-- KEYS stream
-- ARGV prefix group worker started_at deliveries...
-- REPLY a list of {'OK' | 'SUPERSEDED' | 'CANCELLED' | 'LOST', claim}; `deliveries` are triples of id, key, generation
-- USE json ack claim_one
local replies = {}
for at = 1, #deliveries, 3 do
  local id, key, generation = deliveries[at], deliveries[at + 1], deliveries[at + 2]
  if holds(stream, group, worker, id) then
    replies[#replies + 1] = {claim_one(prefix, stream, group, id, key, generation, worker, started_at, started_at)}
  else
    replies[#replies + 1] = {'LOST', 0}                      -- taken by another between the read and this call
  end
end
return replies
