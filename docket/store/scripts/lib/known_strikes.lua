-- Whether a caller knows the last strike: the `known` one is that, or '*' where strikes are nothing to the caller.
-- USE strikes
local function knows_strikes(prefix, known)
  return known == '*' or last_strike(prefix .. ':strikes') == known
end
