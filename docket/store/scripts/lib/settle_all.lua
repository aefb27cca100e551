-- Write the final states of claims of one worker that have ended at the same moment, and acknowledge them. Returns a list of
-- 'OK' | 'SUPERSEDED' | 'LOST', or 'ALONE' where it could not be written, for each of `ended`: message_id, generation, claim,
-- key, slots, state, event, ttl_ms, error, result_name, result_key, result (lib/settle.lua). What is not there is ''.
local function settle_all(prefix, stream, group, wake_channel, worker, ended_at, ended)
  -- USE settle
  local settled, ids = {}, {}
  for at = 1, #ended, 12 do
    local record = {'state', ended[at + 5], 'completed_at', ended_at}
    local why, result_name = ended[at + 8], ended[at + 9]
    if why ~= '' then record[5], record[6] = 'error', why end
    if result_name ~= '' then record[#record + 1], record[#record + 2] = 'result_key', result_name end
    local ok, live = pcall(settle_claim, prefix, stream, group, wake_channel, ended[at], ended[at + 1], ended[at + 2], worker,
      ended[at + 3], ended[at + 4], record, ended[at + 6], ended[at + 7], ended[at + 10], ended[at + 11])
    settled[#settled + 1] = ok and live or 'ALONE'             -- I9: of this claim; or the server refuses every write
    if ok and live == 'OK' then ids[#ids + 1] = ended[at] end
  end
  if #ids > 0 then                                             -- I1
    redis.call('XACK', stream, group, unpack(ids))
    redis.call('XDEL', stream, unpack(ids))
  end
  return settled
end
