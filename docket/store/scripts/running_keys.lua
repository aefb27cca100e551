-- The keys of tasks that workers have, the oldest deliveries first: `most` at most, and no more once `most_bytes` of messages were looked at.
-- KEYS stream
-- ARGV group most most_bytes
-- REPLY {key...}
local held = redis.pcall('XPENDING', stream, group, '-', '+', most)
if held.err then return {} end                                 -- nobody has worked yet
local keys, bytes = {}, 0
for _, each in ipairs(held) do
  local entry = redis.call('XRANGE', stream, each[1], each[1])[1]
  local fields = entry and entry[2] or {}
  for at = 1, #fields, 2 do
    bytes = bytes + #fields[at + 1]
    if fields[at] == 'key' then keys[#keys + 1] = fields[at + 1] end
  end
  if bytes > tonumber(most_bytes) then break end
end
return keys
