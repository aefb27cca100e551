-- Write the final state of a claim and give back what it has of limits. Returns 'OK' - then the caller acknowledges the
-- delivery in the same script (I1) -, 'SUPERSEDED' or 'LOST'. `record` are the fields of the run to set; no result is '';
-- `slots` are the limits of which it holds a slot (lib/slots.lua), or ''.
-- USE fence give_back ending
local function settle_claim(prefix, stream, group, wake_channel, id, generation, claim, holder, key, slots, record, event,
    ttl_ms, result_key, result)
  local run, progress = prefix .. ':runs:' .. key, prefix .. ':progress:' .. key
  local live, reserved, state = check_fence(run, stream, group, id, generation, claim, holder)
  if live == 'LIVE' then
    if state == 'running' then
      end_run(run, progress, ttl_ms, record, prefix .. ':state:' .. key, event, true)
      if result ~= '' and ttl_ms == '' then redis.call('SET', result_key, result)
      elseif result ~= '' and ttl_ms ~= '0' then redis.call('SET', result_key, result, 'PX', ttl_ms) end
    else                                                     -- written already: the reply was lost, or it was done by hand
      redis.call('DEL', progress)
      if ttl_ms == '0' then redis.call('DEL', run) end
    end
    live = 'OK'
  end
  if live ~= 'LOST' then give_back(prefix, stream, wake_channel, slots, key, id, generation, reserved) end
  return live
end
