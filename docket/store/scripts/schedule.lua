-- Place one task under its key: now on the stream, or later on the queue.
-- KEYS stream key_queue
-- ARGV prefix group key when due replace rescheduled expected state_event known_strikes ttl call...
-- REPLY 'OK' | 'EXISTS' | 'SUPERSEDED' | 'STRIKES', a space and the generation of the key. EXISTS: the key is scheduled, queued or running, by more
--   than its record alone, `replace` is not '1', and no delivery ends with this. SUPERSEDED: `expected` is not '0' and not
--   the generation of the key. STRIKES: the id of the last strike is another than `known_strikes`, so the caller reads them
--   first; '*' is any. `rescheduled` is the id of the delivery that ends with this, or ''. `ttl` is what the caller gave for
--   this task (lib/kept.lua), '-' for nothing: then what continues a chain keeps that of the key. `call` as in
--   lib/place.lua
-- USE ack place strikes vacate
if known_strikes ~= '*' and last_strike(prefix .. ':strikes') ~= known_strikes then return 'STRIKES 0' end
local run, queue = prefix .. ':runs:' .. key, prefix .. ':queue'
local is_used = redis.call('TYPE', run).ok ~= 'none'            -- seldom is a key used again
if rescheduled ~= '' then ack(stream, group, rescheduled) end
local generation, no, give_back = 0, expected ~= '0' and 'SUPERSEDED', nil
if is_used then
  generation, no, give_back = vacate(prefix, stream, group, run, key, key_queue, queue, replace, rescheduled, expected)
end
if no then return no .. ' ' .. generation end
generation = string.format('%d', generation + 1)             -- I5: whatever is older is refused from here on
local more = {}
if call[5] ~= '1' then more = {'attempt', call[5]} end
if ttl ~= '-' then more[#more + 1], more[#more + 2] = 'ttl', ttl end
place(prefix, stream, key_queue, key, when, due, state_event, generation, call, unpack(more))
if give_back then give_back() end
return 'OK ' .. generation
