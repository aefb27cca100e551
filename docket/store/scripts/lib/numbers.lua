-- The id of a stream entry, or nil where a text is none; anybody may have written it.
local function entry_id(text)
  local ms, count = string.match(text or '', '^(%d+)%-(%d+)$')
  return ms and #ms <= 15 and #count <= 15 and text or nil
end
-- A whole number from 0, or nil where a text is none. A double is exact up to fifteen digits.
local function whole(text)
  return text and #text <= 15 and string.find(text, '^%d+$') and tonumber(text) or nil
end
