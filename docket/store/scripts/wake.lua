-- Free the slots of holders that are gone, and wake the tasks that wait for limits that have room.
-- KEYS stream queue reserved_queue
-- ARGV prefix wake_channel limits...
-- REPLY 'OK'; each of `limits` is one limit (lib/slots.lua)
-- USE finish slots
local lib = limits_lib()
local site = lib.site_of(prefix, stream, wake_channel)
local function look_after(limit)
  lib.prune_woken(site, limit)
  lib.has_room(site, limit)
  local owners = limit.name .. ':owners'
  if redis.call('HLEN', owners) > redis.call('ZCARD', limit.name) then
    for _, key in ipairs(redis.call('HKEYS', owners)) do
      if not redis.call('ZSCORE', limit.name, key) then redis.call('HDEL', owners, key) end
    end
  end
end
for _, packed in ipairs(limits) do
  local one = lib.limits_of(packed)
  for _, limit in ipairs(one) do lib.unless_foreign(look_after, limit) end
  lib.wake(site, one)
end
publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
return 'OK'
