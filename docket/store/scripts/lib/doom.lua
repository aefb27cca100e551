-- The run of `key` that has these groups open is over: they take nobody any more (I12), and workers cancel who is in them.
local function doom_groups(prefix, key, ids)
  for id in string.gmatch(ids, '%S+') do
    local children = prefix .. ':group:' .. id
    if redis.call('ZADD', children, 'XX', 'CH', -6, '') == 1 then
      redis.call('ZADD', prefix .. ':groups', 0, id .. ' ' .. key)
      redis.call('PUBLISH', children, 'doomed ')
      redis.call('PUBLISH', prefix .. ':wake', 'group ' .. id .. ' ' .. key)
    end
  end
end
