-- Push back the moment at which the slots of deliveries that are still ours count as free.
-- KEYS stream
-- ARGV prefix group worker holdings...
-- REPLY 'OK'; `holdings` are triples of message id, task key and limits (lib/slots.lua)
-- USE holds slots
local lib = limits_lib()
local site = lib.site_of(prefix, stream, prefix .. ':wake')
local function renew(limit, id, key)
  local owners = limit.name .. ':owners'
  redis.call('ZADD', limit.name, site.now, key)
  redis.call('HSET', owners, key, id)
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
