-- Delete the progress of a run: at once, or together with others that are in a list (`forget_all`).
local function forget(progress, list)
  if list then list[#list + 1] = progress else redis.call('DEL', progress) end
end
local function forget_all(list)
  if #list > 0 then redis.call('DEL', unpack(list)) end
end
