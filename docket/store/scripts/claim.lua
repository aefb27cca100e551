-- Claim deliveries that a blocking read has brought.
-- KEYS stream queue reserved_queue strikes
-- ARGV prefix group worker started_at wake_channel asked deliveries...
-- REPLY {id of the last strike or '', replies...}; of each delivery: 'OK' | 'SUPERSEDED' | 'CANCELLED' | 'PAUSED' | 'LOST' |
--   'BROKEN' | 'EXPIRED', claim, how often it was delivered, its time to live ('-' where none was given); with 'BROKEN' the reason stands
--   for the claim, and 'PAUSED' for the strike where all tasks are paused; `deliveries` are triples of id, key, generation, with
--   a space and the moment after this where the message says when it expires;
--   `asked` as in lib/claim_one.lua. A delivery is LOST, too, where another process of the same name, which had lost the answer
--   to a read, has claimed it before (unheard.lua)
-- USE holds lease stream_of turns_on claim_one finish forget strikes pauses put_back
local replies, refused, over, held = {''}, false, {}, {}
local paused, wrong = paused_tasks(prefix)
if wrong then return wrong end
local are_all = paused and paused['*']
if are_all and put_back(stream, group, worker, deliveries) then
  replies[1] = 'PAUSED'
  for at = 1, #deliveries, 3 do
    for _, each in ipairs({'PAUSED', 0, 1, '-'}) do replies[#replies + 1] = each end
  end
  return replies
end
local try_claim = claimer(prefix, stream, group, worker, started_at, asked, over, paused).try
for at = 1, #deliveries, 3 do
  local id, key, generation = deliveries[at], deliveries[at + 1], deliveries[at + 2]
  local word, claim, ttl = 'LOST', 0, nil                      -- taken over between the read and this call
  local times = holds(stream, group, worker, id)
  if times then
    local entry, expires = paused and redis.call('XRANGE', stream_of(stream, id), id, id)[1], nil
    if string.find(generation, ' ', 1, true) then generation, expires = string.match(generation, '^(%S+) (%S+)$') end
    word, claim, ttl = try_claim(id, key, generation, true, entry and entry[2], times, expires)
    held[#held + 1] = id
  end
  local last = #replies
  replies[last + 1], replies[last + 2], replies[last + 3], replies[last + 4] = word, claim, times or 0, ttl or '-'
  refused = refused or (word ~= 'OK' and word ~= 'EXPIRED')
end
lease_again(stream, group, worker, held)                       -- from now on, however long ago it was read
for at = 1, #deliveries, 3 do
  if stream_of(stream, deliveries[at]) ~= stream then turns_on(stream).follow(deliveries[at]) end   -- what was drawn is followed by the next
end
forget_all(over)
if refused then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
replies[1] = are_all and 'PAUSED' or last_strike(strikes)
return replies
