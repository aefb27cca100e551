-- The names of the tasks that are paused, as a set; nil where none is. '*' stands for all tasks. Instead an error to return, before
-- anything is read, where something else is in the place of one's row: what it would line up waits on the stream (I9).
local function paused_tasks(prefix)
  local names = redis.call('HKEYS', prefix .. ':ops:pauses')
  if not names[1] then return nil end
  local paused = {}
  for _, name in ipairs(names) do
    paused[name] = true
    local row = redis.pcall('XLEN', prefix .. ':ops:pause:' .. name .. '::waiters')
    if type(row) == 'table' then return nil, row end
  end
  return paused, nil
end
