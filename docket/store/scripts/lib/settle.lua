-- Write the final state of a claim and give back what it has of limits. Returns 'OK' - then the caller acknowledges the
-- delivery in the same script (I1) -, 'SUPERSEDED' or 'LOST'. The arguments from `id` on are one end, in the order in which
-- scripts are given it; of these, what is not there is ''. `slots` are the limits of which it holds a slot (lib/slots.lua).
-- USE fence give_back ending result
local function settle_claim(prefix, stream, group, wake_channel, holder, ended_at, id, generation, claim, key, slots, state,
    event, ttl_ms, why, result_name, result_key, result)
  local run, progress = prefix .. ':runs:' .. key, prefix .. ':progress:' .. key
  local live, reserved, before = check_fence(run, stream, group, id, generation, claim, holder)
  if live == 'LIVE' then
    if before == 'running' then
      local record = {'state', state, 'completed_at', ended_at}
      if why ~= '' then record[5], record[6] = 'error', why end
      if result_name ~= '' then record[#record + 1], record[#record + 2] = 'result_key', result_name end
      end_run(run, progress, ttl_ms, record, prefix .. ':state:' .. key, event, true)
      keep_result(result_key, result, ttl_ms)
    else                                                     -- written already: the reply was lost, or it was done by hand
      redis.call('DEL', progress)
      if ttl_ms == '0' then redis.call('DEL', run) end
    end
    live = 'OK'
  end
  if live ~= 'LOST' then give_back(prefix, stream, wake_channel, slots, key, id, generation, reserved) end
  return live
end
