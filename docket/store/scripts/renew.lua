-- Push back the redelivery of deliveries that are still ours.
-- KEYS stream
-- ARGV group worker ids...
-- REPLY the ids that another consumer holds now, or none
-- USE holds lease
local mine, lost = {}, {}
for _, id in ipairs(ids) do
  if holds(stream, group, worker, id) then mine[#mine + 1] = id else lost[#lost + 1] = id end
end
lease_again(stream, group, worker, mine)
return lost
