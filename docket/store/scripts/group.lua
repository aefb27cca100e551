-- Make the stream and its consumer group if they are not there.
-- KEYS stream
-- ARGV group
-- REPLY OK
local create = {'XGROUP', 'CREATE', stream, group, '0-0', 'MKSTREAM'}
local made = redis.pcall(unpack(create))
-- That it is there already is no error: a client would load redis-py for it.
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
  return redis.call(unpack(create))  -- fails again, in the words that errors of scripts have
end
return redis.status_reply('OK')
