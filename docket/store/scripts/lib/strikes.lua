-- The id of the last instruction of the strikes stream, '' for none. Compaction never removes the last one. A task of
-- pydocket's that is named so may lie there instead: no strikes then.
local function last_strike(strikes)
  local last = redis.pcall('XREVRANGE', strikes, '+', '-', 'COUNT', 1)
  return last[1] and last[1][1] or ''
end
