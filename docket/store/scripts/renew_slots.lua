-- Push back the moment at which the slots of deliveries that are still ours count as free. One that has counted as free
-- meanwhile is taken again only while there is room: else its next delivery would find a slot of its own, beside the run
-- that has it now.
-- KEYS stream
-- ARGV prefix group worker holdings...
-- REPLY 'OK'; `holdings` are triples of message id, task key and limits (lib/slots.lua)
-- USE holds slots
local lib = limits_lib()
local site = lib.site_of(prefix, stream, prefix .. ':wake')
local function renew(limit, id, key)
  local owners = limit.name .. ':owners'
  local owner = redis.call('HGET', owners, key)
  if owner and owner ~= id then return end                     -- a newer run of this key has it
  if redis.call('ZADD', limit.name, 'XX', 'CH', site.now, key) == 0 then
    if not lib.has_room(site, limit) then return end
    redis.call('ZADD', limit.name, site.now, key)
  end
  if not owner then redis.call('HSET', owners, key, id) end
  redis.call('PEXPIRE', limit.name, math.max(1000, 4 * limit.lease))
  redis.call('PEXPIRE', owners, math.max(1000, 4 * limit.lease))
  lib.index(site, limit, 'HSETNX')
end
for at = 1, #holdings, 3 do
  local id, key = holdings[at], holdings[at + 1]
  if holds(stream, group, worker, id) then
    for _, limit in ipairs(lib.limits_of(holdings[at + 2])) do lib.unless_foreign(renew, limit, id, key) end
  end
end
return 'OK'
