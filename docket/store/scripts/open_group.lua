-- Open a group: that of a running task by its number among the groups of the run, or that of a plain program.
-- KEYS run groups
-- ARGV prefix message_id generation claim holder key ordinal nonce look_after_ms
-- REPLY {'OK' | 'JOINED' | 'LOST', id}; of a program the key is ''. JOINED: an earlier delivery of the run has opened it, and its
--   children are there still. LOST: the fence does not own the run. `nonce` becomes that of a run that has none; with
--   `look_after_ms` '' nobody needs to look whether the parent lives. For people the record says which group was the latest (`opened`),
--   and the group who has opened it: a member at -9, the key behind the byte 255, with which no text begins
-- USE owns later open_groups
local function score_of(id) return redis.call('ZSCORE', prefix .. ':group:' .. id, '') end
local id, found = nonce .. '.' .. ordinal, nil
if key ~= '' then
  local now = redis.call('HMGET', run, 'generation', 'claim', 'worker', 'state', 'nonce', 'groups', 'opened')
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
  local opened = now[5] and tonumber(now[7]) or 0              -- a run begins without a nonce, and with what others have opened
  redis.call('HSET', run, 'nonce', now[5] or nonce, 'groups', others and others .. ' ' .. id or id,
    'opened', opened > tonumber(ordinal) and now[7] or ordinal)
end
local children = prefix .. ':group:' .. id
if key == '' then redis.call('ZADD', children, -5, '')
else redis.call('ZADD', children, -5, '', -9, '\255' .. key) end
if found then redis.call('PERSIST', children) end
redis.call('ZADD', groups, later(look_after_ms), id .. ' ' .. key)   -- I15
return {found and 'JOINED' or 'OK', id}
