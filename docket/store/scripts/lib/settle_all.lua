-- Write the final states of claims of one worker that have ended at the same moment, and acknowledge them. Returns a list of
-- 'OK' | 'SUPERSEDED' | 'LOST', or 'ALONE' where it could not be written, for each of `ended`: twelve arguments each, as
-- lib/settle.lua has them.
local function settle_all(prefix, stream, group, wake_channel, worker, ended_at, ended)
  -- USE settle
  local settled, ids = {}, {}
  for at = 1, #ended, 12 do
    local ok, live = pcall(settle_claim, prefix, stream, group, wake_channel, worker, ended_at, unpack(ended, at, at + 11))
    settled[#settled + 1] = ok and live or 'ALONE'             -- I9: of this claim; or the server refuses every write
    if ok and live == 'OK' then ids[#ids + 1] = ended[at] end
  end
  if #ids > 0 then                                             -- I1
    redis.call('XACK', stream, group, unpack(ids))
    redis.call('XDEL', stream, unpack(ids))
  end
  return settled
end
