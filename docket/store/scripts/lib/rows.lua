-- Where those wait that take turns (lib/turns.lua): the rows of a level by their turns, and the row of one value.
local function turns_named(prefix, level) return prefix .. ':ops:turns:' .. level end
local function row_named(prefix, level, name) return prefix .. ':ops:row:' .. level .. ':' .. name .. '::waiters' end
