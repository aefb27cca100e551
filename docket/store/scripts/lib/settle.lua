-- What writes the ends of claims of one worker; what is the same for all of them is made once. It returns 'OK' - then the
-- caller acknowledges the delivery in the same script (I1) -, 'SUPERSEDED' or 'LOST', and its arguments are one end, in the
-- order in which scripts are given it: those from `slots` on are given all or not at all, and are '' where there is nothing.
-- What follows `result` is a failure to be kept, as `keep_of` in lib/failures.lua takes it from `with_call` on, or nothing.
-- `how` is what many ends have alike, as one argument: the generation, the number of the claim, the state, and the time to live
-- as in lib/kept.lua, with spaces between. `slots` are the limits of which the claim holds a slot (lib/slots.lua). Names of
-- progress that is over are added to `over` for the caller to delete (lib/forget.lua); where there is no such list, they are
-- deleted first: a full server accepts writes once memory is freed.
-- USE fence give_back ending result forget noted kin succeed
local function settler(prefix, stream, group, wake_channel, holder, ended_at, over)
  local runs, states, progresses = prefix .. ':runs:', prefix .. ':state:', prefix .. ':progress:'
  local hows = {}
  return function(id, key, event, how, slots, why, result_name, result_key, result, ...)
    local read, run = hows[how], runs .. key
    if not read then
      read = {string.match(how, '^(%d+) (%d+) (%a+) (%d*)$')}
      hows[how] = read
    end
    local generation, claim, state, ttl_ms = read[1], read[2], read[3], read[4]
    local live, reserved, before, noted, child_of, groups, successor = check_fence(run, stream, group, id, generation, claim, holder)
    if live == 'LIVE' then
      forget(progresses .. key, over)
      if successor and succeed(prefix, stream, key, successor, generation, {'state', before == 'running' and state or before or 'cancelled',
        'completed_at', ended_at, 'error', why or '', 'result_key', result_name or ''}, event, select('#', ...) > 0) then
        keep_result(result_key or '', result or '', ttl_ms)
      elseif before == 'running' and not slots then
        end_claimed(run, ttl_ms, states .. key, event, 'state', state, 'completed_at', ended_at)
      elseif before == 'running' then
        local record = {'state', state, 'completed_at', ended_at}
        if why ~= '' then record[5], record[6] = 'error', why end
        if result_name ~= '' then record[#record + 1], record[#record + 2] = 'result_key', result_name end
        end_claimed(run, ttl_ms, states .. key, event, unpack(record))
        keep_result(result_key, result, ttl_ms)
      elseif ttl_ms == '0' then                                -- written already: the reply was lost, or it was done by hand
        redis.call('DEL', run)
      end
      if before == 'running' and (noted or select('#', ...) > 0) then
        note_end(prefix, stream, id, key, state, holder, ...)
      end
      -- Also where it was written already: maybe by somebody that knows of no groups.
      if child_of or groups then
        end_in_groups(prefix, key, before == 'running' and state or before or 'cancelled', child_of, groups)
      end
      live = 'OK'
    end
    if live ~= 'LOST' then give_back(prefix, stream, wake_channel, slots or '', key, id, generation, reserved) end
    return live
  end
end
