-- The id of a stream entry that somebody may have written as text, or nil.
local function entry_id(text)
  local ms, count = string.match(text or '', '^(%d+)%-(%d+)$')
  return ms and #ms <= 15 and #count <= 15 and text or nil
end
-- A whole number from 0 that somebody may have written as text, or nil. Of more than fifteen digits Lua is not sure.
local function whole(text)
  return text and #text <= 15 and string.find(text, '^%d+$') and tonumber(text) or nil
end
