-- Set a delivery aside that cannot be decoded (I9): its fields and the reason are kept for a while, its run fails.
-- KEYS stream dead queue reserved_queue
-- ARGV message_id group worker reason at ttl_ms key state_event wake_channel prefix slots generation failures_kept failure_ttl failed_at forged
-- REPLY 'OK' | 'LOST'; `key` is '' where even that could not be read; `slots` as in lib/settle.lua; the three after `generation` as in due.lua
-- Of a `forged` one ('1') the run fails only if its record has the same call: it may be that of another.
-- USE ack holds carry finish give_back end_for_good kept failures kin
-- Whether the record of a run has the task and the arguments of an entry.
local function has_call(run, entry)
  local call, fields = redis.pcall('HMGET', run, 'function', 'args', 'kwargs'), {}
  for at = 1, #(entry and entry[2] or {}), 2 do fields[entry[2][at]] = entry[2][at + 1] end
  return call[1] == fields['function'] and call[2] == fields.args and call[3] == fields.kwargs
end
if not holds(stream, group, worker, message_id) then return 'LOST' end
local entry = redis.call('XRANGE', stream_of(stream, message_id), message_id, message_id)[1]
if entry then
  redis.call('XADD', dead, 'MAXLEN', '~', 1000, '*', 'dead:id', message_id, 'dead:reason', reason, 'dead:at', at,
    unpack(carry(entry[2])))
  redis.call('PEXPIRE', dead, 7 * 86400000)
end
ack(stream, group, message_id)                               -- I1
if key ~= '' then                                            -- it may be no UTF-8
  local run = prefix .. ':runs:' .. key
  local now = redis.pcall('HMGET', run, 'claim', 'stream_id', 'reserved', 'ttl', 'attempt', 'started_at', 'group', 'groups',
    'successor', 'generation')  -- what is no hash is not ours to repair
  local own = forged ~= '1' or has_call(run, entry)
  local claimed = own and now[1] and string.sub(now[1], 1, #message_id + 1) == message_id .. '.'
  if claimed or (own and now[2] == message_id) then                    -- I2: a newer generation is left alone
    generation = string.match(now[3] or '', '^(%d+) ') or generation   -- the message may not say which it is
    local record = {'state', 'failed', 'completed_at', at, 'error', 'DeliveryUnreadable: ' .. reason}
    end_for_good(prefix, stream, key, now[10] or generation, now[9], kept_for(now[4], ttl_ms), record, state_event, failures_kept ~= '0')
    if failures_kept ~= '0' then
      failures_lib(prefix).try('keep', key, '', '0', entry and carry(entry[2]) or {}, worker, failure_ttl, failures_kept, failed_at,
        now[5] or '1', 'docket.errors.DeliveryUnreadable', string.sub(reason, 1, 4000), '', now[6] or '')
    end
    if now[7] or now[8] then end_in_groups(prefix, key, 'failed', now[7], now[8]) end
  end
  give_back(prefix, stream, wake_channel, slots, key, message_id, generation, now[3])
end
publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
return 'OK'
