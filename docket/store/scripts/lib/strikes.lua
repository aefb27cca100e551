-- The id of the last instruction of the strikes stream, '' for none. Compaction never removes the last one. A task that
-- pydocket has parked may lie there instead: then there are no strikes.
local function last_strike(strikes)
  if redis.pcall('XLEN', strikes) == 0 then return '' end       -- seldom are there any
  local last = redis.pcall('XREVRANGE', strikes, '+', '-', 'COUNT', 1)
  return last[1] and last[1][1] or ''
end
