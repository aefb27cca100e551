-- Push back when what is known of children that have ended expires: their parent may ask for it yet.
-- KEYS children
-- ARGV prefix group_id start count ttl_ms kept_ms results_prefix
-- REPLY {how many were looked at, then the key of a result and how long it is to be kept...}: of results that somebody else keeps, with
--   `results_prefix` ''. `ttl_ms` as in lib/kept.lua: how long a record is kept, and its result, from now on; `kept_ms` how long what is known
--   of a group that was left
-- USE kept errors
local function push_back(name, ms)
  local left = redis.pcall('PTTL', name)
  if type(left) == 'number' and left >= 0 and left < tonumber(ms) then redis.call('PEXPIRE', name, ms) end
end
if start == '0' then push_back(children, kept_ms) end
local elsewhere = {}
local page = redis.call('ZRANGE', children, start, start + count - 1, 'WITHSCORES')
for at = 1, #page, 2 do
  if tonumber(page[at + 1]) >= 2 then return {0, unpack(elsewhere)} end   -- they are under way, and so is who comes behind them
  local run = prefix .. ':runs:' .. page[at]
  local now = redis.pcall('HMGET', run, 'group', 'ttl', 'result_key')
  local ms = now[1] == group_id and kept_for(now[2], ttl_ms) or ''
  if ms ~= '' and ms ~= '0' then
    push_back(run, ms)
    if now[3] and results_prefix ~= '' then push_back(results_prefix .. now[3], ms)
    elseif now[3] then
      elsewhere[#elsewhere + 1], elsewhere[#elsewhere + 2] = now[3], ms
    end
  end
end
return {#page / 2, unpack(elsewhere)}
