-- I2: 'LIVE' if the fence (generation, claim, holder) still owns the run. Else this claim may change nothing
-- about the key, but it removes its own entry while that is still its own.
local function check_fence(run, stream, group, id, generation, claim, holder)
  local now = redis.call('HMGET', run, 'generation', 'claim', 'worker')
  if now[1] == generation and now[2] == claim and now[3] == holder then return 'LIVE' end
  if not holds(stream, group, holder, id) then return 'LOST' end
  ack(stream, group, id)
  return 'SUPERSEDED'
end
