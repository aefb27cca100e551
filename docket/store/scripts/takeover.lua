-- Take deliveries over from holders that are gone, and claim them, in one step.
-- KEYS stream queue reserved_queue strikes
-- ARGV prefix group worker started_at wake_channel asked idle_ms ids...
-- REPLY as take.lua; only those that nobody has renewed for `idle_ms`
-- USE holds by_stream claim_one finish forget strikes pauses
local reply, refused, over = {'', ''}, false, {}
local paused, wrong = paused_tasks(prefix)
if wrong then return wrong end
if paused and paused['*'] then return {'PAUSED', ''} end
local claim_entry = claimer(prefix, stream, group, worker, started_at, asked, over, paused).entry
for name, some in pairs(by_stream(stream, ids)) do
  for _, entry in ipairs(redis.call('XCLAIM', name, group, worker, idle_ms, unpack(some))) do
    local times = entry and entry[2] and holds(stream, group, worker, entry[1])
    if times then
      refused = claim_entry(reply, entry, times) or refused
    end
  end
end
if not reply[3] then return reply end
forget_all(over)
if refused then publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel) end
reply[1] = last_strike(strikes)
return reply
