-- What lib/turns.lua makes, for those that take turns: it is made only then.
local function turns_on(stream)
  -- USE turns
  return turns_lib(stream)
end
