-- I2: 'LIVE' if the fence still owns the run: its generation (0 is not tracked), the claim, the holder. A claim is
-- told from every other one by its delivery, also when the run was deleted and began anew. Else this claim may
-- change nothing about the key, but it removes its own entry while that is still its own. With 'LIVE' comes what is
-- kept for the run (lib/slots.lua), if anything is, and its state.
local function check_fence(run, stream, group, id, generation, claim, holder)
  local now = redis.call('HMGET', run, 'generation', 'claim', 'worker', 'reserved', 'state')
  if now[2] == id .. '.' .. claim and now[3] == holder and (now[1] == generation or generation == '0') then
    return 'LIVE', now[4], now[5]
  end
  local mine = id .. '.'
  if now[2] and now[2] ~= mine .. claim and string.sub(now[2], 1, #mine) == mine then
    return 'LOST'                                              -- claimed again: maybe by a worker of the same name
  end
  if not holds(stream, group, holder, id) then return 'LOST' end
  ack(stream, group, id)
  return 'SUPERSEDED'
end
