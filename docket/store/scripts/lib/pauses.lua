-- The names of the tasks that are paused, as a set; nil where none is. '*' stands for all tasks.
local function paused_tasks(prefix)
  local names = redis.call('HKEYS', prefix .. ':ops:pauses')
  if not names[1] then return nil end
  local paused = {}
  for _, name in ipairs(names) do paused[name] = true end
  return paused
end
