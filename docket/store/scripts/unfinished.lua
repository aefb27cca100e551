-- Count what waits or runs, at one moment: what moves meanwhile would be counted twice, or not at all.
-- KEYS stream queue reserved_queue waiting
-- ARGV most
-- REPLY how many; of rows of waiters `most` are looked at, and where there are more, zero is not said
-- USE streams
-- pydocket wakes waiters without taking the limit off our set, so the rows are looked at themselves.
local count = redis.call('ZCARD', queue) + redis.call('ZCARD', reserved_queue)
for _, name in pairs(streams_of(stream)) do count = count + redis.call('XLEN', name) end
local names = redis.call('SRANDMEMBER', waiting, most)
for _, name in ipairs(names) do
  local length = redis.pcall('XLEN', name .. ':waiters')       -- nobody waits in what is no stream (I9)
  if type(length) == 'number' then count = count + length end
  if string.find(name, ':ops:turns:', 1, true) then            -- it stands for rows of those that take turns (lib/turns.lua)
    length = redis.pcall('ZCARD', name)
    if type(length) == 'number' then count = count + length end
  end
end
if count == 0 and #names == tonumber(most) then return 1 end
return count
