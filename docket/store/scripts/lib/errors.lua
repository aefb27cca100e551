-- The text of an error that pcall has caught: before Redis 7 it is a string.
local function error_text(problem) return type(problem) == 'table' and problem.err or tostring(problem) end
