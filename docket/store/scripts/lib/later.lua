-- The moment so many ms from now, as the score of a group that is to be looked after then; '' is never.
local function later(ms)
  if ms == '' then return '+inf' end
  local time = redis.call('TIME')
  return string.format('%.3f', time[1] + time[2] / 1000000 + ms / 1000)
end
