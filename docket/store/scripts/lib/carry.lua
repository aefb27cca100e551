-- The fields of a message, cut to what one command can take (Lua unpacks some 8000 values). No worker can read a message
-- of that size; what is kept of it names the run that is to fail (I9).
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
