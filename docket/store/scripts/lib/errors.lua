-- The text of an error that pcall has caught: before Redis 7 it is a string.
local function error_text(problem) return type(problem) == 'table' and problem.err or tostring(problem) end
-- Whether the server refuses, whatever the message is: it is full, or no master any more, or the key is on its way to another
-- node of a cluster.
local function is_refusal(text)
  local code = string.match(text, '%u%u%u+ ')
  return code and code ~= 'WRONGTYPE ' and code ~= 'ERR ' or string.find(text, 'a non local key', 1, true)
end
