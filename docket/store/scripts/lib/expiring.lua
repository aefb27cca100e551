-- What expires unless it begins in time. The message says until when, in its field `docket:expires` (epoch seconds of the server),
-- wherever it waits, and scripts judge by that alone. Until the run begins its record says the same in `expires`, and the zset
-- `{prefix}:ops:expiring` has its key by that moment: a hint for expire.lua, which may be about an earlier run, and may be lost.
local function expiring_lib(prefix)
  local time, list, lib = redis.call('TIME'), prefix .. ':ops:expiring', {}
  lib.now = time[1] + time[2] / 1000000
  -- Where the fields of a message have the moment, from number `from` on; nil where they have none.
  function lib.find(fields, from)
    for at = from, #fields, 2 do
      if fields[at] == 'docket:expires' then return at + 1 end
    end
  end
  -- Whether a moment has passed; what is no number (anybody may have written it) never does.
  function lib.has_passed(moment)
    local expires = tonumber(moment)
    return expires and expires <= lib.now
  end
  -- A run waits until a moment. Published is for how many ms, where no worker looks earlier.
  function lib.note(run, key, moment)
    redis.call('HSET', run, 'expires', moment)
    if not tonumber(moment) or lib.has_passed(moment) then return end
    redis.pcall('ZADD', list, moment, key)                     -- of another type: it ends as it is taken
    local first = redis.pcall('ZRANGE', list, 0, 0)
    if first[1] == key then
      redis.call('PUBLISH', prefix .. ':wake', 'expires ' .. string.format('%.0f', math.ceil((moment - lib.now) * 1000)))
    end
  end
  -- The same of a message that is queued again, if it says so.
  function lib.note_again(run, key, fields, from)
    local at = lib.find(fields, from)
    if at then lib.note(run, key, fields[at]) end
  end
  -- Whether a delivery that may have begun before has not, and may not any more. A run that has begun has no `expires` in its record,
  -- or was claimed by a worker that knows of none.
  function lib.is_over(run, state, claim, moment)
    if not lib.has_passed(moment) then return false end
    return state ~= 'running' or (claim and redis.call('HGET', run, 'expires'))
  end
  -- A run begins, or does not wait any more.
  function lib.forget(run, key)
    redis.call('HDEL', run, 'expires')
    redis.pcall('ZREM', list, key)
  end
  return lib
end
