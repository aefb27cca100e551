-- The keys of tasks that workers have, the oldest deliveries first: `most` at most, and no more once `most_bytes` of messages were looked at.
-- KEYS stream
-- ARGV group most most_bytes
-- REPLY {key...}
-- USE streams
local keys, bytes = {}, 0
for _, name in pairs(streams_of(stream)) do
  local held = redis.pcall('XPENDING', name, group, '-', '+', most)
  for _, each in ipairs(held.err and {} or held) do            -- nobody has worked yet
    if #keys >= tonumber(most) or bytes > tonumber(most_bytes) then break end
    local entry = redis.call('XRANGE', name, each[1], each[1])[1]
    local fields = entry and entry[2] or {}
    for at = 1, #fields, 2 do
      bytes = bytes + #fields[at + 1]
      if fields[at] == 'key' then keys[#keys + 1] = fields[at + 1] end
    end
  end
end
return keys
