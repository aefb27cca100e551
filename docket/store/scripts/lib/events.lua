-- The JSON of a state event, where no client has written it; `more` is the text of further fields, each after a comma.
-- USE json
local function event_of(key, state, more)
  return '{"type":"state","key":' .. json(key) .. ',"state":"' .. state .. '"' .. (more or '') .. '}'
end
