-- Open a group: that of a running task by its number among the groups of the run, or that of a plain program.
-- KEYS run groups
-- ARGV prefix message_id generation claim holder key ordinal nonce look_after_ms
-- REPLY {'OK' | 'JOINED' | 'LOST', id}; of a program the key is ''. JOINED: an earlier delivery of the run has opened it, and its
--   children are there still. LOST: the fence does not own the run. `nonce` becomes that of a run that has none; with
--   `look_after_ms` '' nobody needs to look whether the parent lives
-- USE owns later open_groups
local function score_of(id) return redis.call('ZSCORE', prefix .. ':group:' .. id, '') end
local id, found = nonce .. '.' .. ordinal, nil
if key ~= '' then
  local now = redis.call('HMGET', run, 'generation', 'claim', 'worker', 'state', 'nonce', 'groups')
  if now[4] ~= 'running' or not owns(now, message_id, generation, claim, holder) then return {'LOST', ''} end   -- I13
  local open = now[6]
  if now[5] then
    local first, again = now[5] .. '.' .. ordinal, 1
    id, found = first, score_of(first)
    while found == '-6' do                                     -- its children are being cancelled: the run begins without them
      open, again = groups_without(open, id), again + 1
      id = first .. '.' .. again
      found = score_of(id)
    end
  end
  local others = groups_without(open, id)
  redis.call('HSET', run, 'nonce', now[5] or nonce, 'groups', others and others .. ' ' .. id or id)
end
local children = prefix .. ':group:' .. id
redis.call('ZADD', children, -5, '')
if found then redis.call('PERSIST', children) end
redis.call('ZADD', groups, later(look_after_ms), id .. ' ' .. key)   -- I15
return {found and 'JOINED' or 'OK', id}
