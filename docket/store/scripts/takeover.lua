-- Take deliveries over from holders that are gone, and claim them, in one step.
-- KEYS stream queue reserved_queue strikes
-- ARGV prefix group worker started_at wake_channel asked idle_ms ids...
-- REPLY as take.lua; only those that nobody has renewed for `idle_ms`
-- USE holds claim_one finish forget strikes
local taken, refused, over = {}, false, {}
local claim_entry = claimer(prefix, stream, group, worker, started_at, asked, over).entry
for _, entry in ipairs(redis.call('XCLAIM', stream, group, worker, idle_ms, unpack(ids))) do
  local times = entry and entry[2] and holds(stream, group, worker, entry[1])
  if times then
    local one, is_refused = claim_entry(entry, times)
    taken[#taken + 1], refused = one, refused or is_refused
  end
end
if #taken == 0 then return {'', taken} end
forget_all(over)
if refused then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
return {last_strike(strikes), taken}
