-- A run has ended for good: what is to run once more after it takes its key in the same step, in place of its final record. Returns
-- whether it has; the parameters are those of `place` in lib/successor.lua. Seldom called: what is in here is made then.
local function succeed(prefix, ...)
  -- USE successor
  return successor_lib(prefix).place(...)
end
