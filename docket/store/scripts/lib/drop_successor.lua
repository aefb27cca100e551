-- What was to run once more after a run will not. Seldom called: what is in here is made then.
local function drop_successor(prefix, key, successor)
  -- USE successor
  return successor_lib(prefix).drop(key, successor)
end
