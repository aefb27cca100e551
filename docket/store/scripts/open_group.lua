-- Open a group: that of a running task by its place among the groups of the run, or that of a plain program.
-- KEYS run groups
-- ARGV prefix message_id generation claim holder key place nonce look_after_ms
-- REPLY {'OK' | 'JOINED' | 'LOST', id}; of a program the key is ''. JOINED: an earlier delivery of the run has opened it, and its
--   children are there still. LOST: the fence does not own the run. `nonce` becomes that of a run that has none; with
--   `look_after_ms` '' nobody needs to look whether the parent lives. For people the record says which group was the latest by its
--   number (`opened`), and which five by their names (`named`), and the group who has opened it: a member at -9, the key behind the byte 255, with which no text begins
-- USE owns later open_groups
local function score_of(id) return redis.call('ZSCORE', prefix .. ':group:' .. id, '') end
local id, found = nonce .. '.' .. place, nil
if key ~= '' then
  local now = redis.call('HMGET', run, 'generation', 'claim', 'worker', 'state', 'nonce', 'groups', 'opened', 'named')
  if now[4] ~= 'running' or not owns(now, message_id, generation, claim, holder) then return {'LOST', ''} end   -- I13
  local open = now[6]
  if now[5] then
    local first, again = now[5] .. '.' .. place, 1
    id, found = first, score_of(first)
    while found == '-6' do                                     -- its children are being cancelled: the run begins without them
      open, again = groups_without(open, id), again + 1
      id = first .. '.' .. again
      found = score_of(id)
    end
  end
  local others = groups_without(open, id)
  local opened = now[5] and tonumber(now[7]) or 0              -- a run begins without a nonce, and with what others have opened
  local number = tonumber(place) or 0                          -- of one that has a name instead
  redis.call('HSET', run, 'nonce', now[5] or nonce, 'groups', others and others .. ' ' .. id or id,
    'opened', math.max(opened, number))
  if number == 0 then
    local named = now[5] and groups_without(now[8], place)
    named = named and named .. ' ' .. place or place
    redis.call('HSET', run, 'named', string.match(named, '%S+ %S+ %S+ %S+ %S+$') or named)
  elseif not now[5] then redis.call('HDEL', run, 'named') end
end
local children = prefix .. ':group:' .. id
if key == '' then redis.call('ZADD', children, -5, '')
else redis.call('ZADD', children, -5, '', -9, '\255' .. key) end
if found then redis.call('PERSIST', children) end
redis.call('ZADD', groups, later(look_after_ms), id .. ' ' .. key)   -- I15
return {found and 'JOINED' or 'OK', id}
