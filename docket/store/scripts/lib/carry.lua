-- The fields of a message as far as one command can take them (Lua unpacks some 8000 values). Nobody can read a
-- message of that size; what is kept of it says which run to fail (I9).
local function carry(fields)
  if #fields <= 6000 then return fields end
  local kept = {}
  for at = 1, #fields, 2 do
    if at < 6000 or fields[at] == 'key' or fields[at] == 'generation' then
      kept[#kept + 1], kept[#kept + 2] = fields[at], fields[at + 1]
    end
  end
  return kept
end
