-- I2: 'LIVE' if the fence still owns the run. Else this claim may change nothing about the key, but it removes its own
-- entry while that is still its own. With 'LIVE' comes what is reserved for the run (lib/slots.lua), if anything is, its
-- state, whether a failure is kept of its call (lib/failures.lua), the group whose child it is, the groups that it has open,
-- and what is to run once more after it (lib/successor.lua).
-- USE ack holds owns
local function check_fence(run, stream, group, id, generation, claim, holder)
  local now = redis.call('HMGET', run, 'generation', 'claim', 'worker', 'reserved', 'state', 'noted', 'group', 'groups',
    'successor')
  if owns(now, id, generation, claim, holder) then return 'LIVE', now[4], now[5], now[6], now[7], now[8], now[9] end
  local mine = id .. '.'
  if now[2] and now[2] ~= mine .. claim and string.sub(now[2], 1, #mine) == mine then
    return 'LOST'                                              -- claimed again: maybe by a worker of the same name
  end
  if not holds(stream, group, holder, id) then return 'LOST' end
  ack(stream, group, id)
  return 'SUPERSEDED'
end
