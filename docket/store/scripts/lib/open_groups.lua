-- The ids in `open` (the field `groups` of a record, with spaces between) without one; nil where no others are left.
local function groups_without(open, id)
  local others = {}
  for other in string.gmatch(open or '', '%S+') do
    if other ~= id then others[#others + 1] = other end
  end
  return others[1] and table.concat(others, ' ')
end
