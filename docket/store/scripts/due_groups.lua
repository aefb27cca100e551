-- Which groups are to be looked after now, and when the next one is.
-- KEYS groups
-- ARGV limit
-- REPLY {in how many ms the first one is, or '' where that is never, then those that are now: '{id} {key of the parent}'...}
-- USE later
local first = redis.call('ZRANGE', groups, 0, 0, 'WITHSCORES')[2]
if not first or first == 'inf' then return {''} end
local now = later(0)
if tonumber(first) > tonumber(now) then                          -- a month at most: anybody may have written it (I9)
  return {string.format('%.0f', math.min((first - now) * 1000, 30 * 86400000))}
end
return {'0', unpack(redis.call('ZRANGEBYSCORE', groups, '-inf', now, 'LIMIT', 0, limit))}
