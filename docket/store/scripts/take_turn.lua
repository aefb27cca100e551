-- Have a claimed run that has not begun wait for its turn: its message says no `docket:share`, since whoever added it did not know of any.
-- KEYS run stream progress
-- ARGV message_id generation claim holder group key prefix share
-- REPLY 'WAITS' | 'GOES_ON' | 'SUPERSEDED' | 'LOST'; WAITS is written and acknowledged. GOES_ON: it has waited for a slot, or was admitted, so it
--   has had its turn; or its cancellation was requested
-- USE ack events fence carry queue_up running expiring
local live = check_fence(run, stream, group, message_id, generation, claim, holder)
if live ~= 'LIVE' then return live end
local record = redis.call('HMGET', run, 'reserved', 'admitted', 'cancel_requested')
if record[1] or record[2] == generation or record[3] == generation then return 'GOES_ON' end
local entry = redis.call('XRANGE', stream_of(stream, message_id), message_id, message_id)[1]
if not entry then return 'GOES_ON' end                         -- somebody trimmed the stream, and how it ends is written all the same
local fields, following = carry(entry[2]), string.format('%d', generation + 1)
for at = 1, #fields, 2 do
  if fields[at] == 'generation' then fields[at + 1] = following end
end
fields[#fields + 1], fields[#fields + 2] = 'docket:share', share
redis.call('DEL', progress)                                    -- first: a full server accepts writes once memory is freed
local time = redis.call('TIME')
local _, _, event = queue_up(redis.call, stream, run, fields, 'generation', following, 'known', time[1] + time[2] / 1000000)
leave_running(run)
local lib = expiring_lib(prefix)
lib.note_again(run, key, fields, 15)
ack(stream, group, message_id)                                 -- I1
redis.call('PUBLISH', prefix .. ':state:' .. key, event or event_of(key, 'queued'))
return 'WAITS'
