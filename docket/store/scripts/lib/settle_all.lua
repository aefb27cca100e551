-- What lib/follow.lua makes, where a claim has ended whose key runs again.
local function followed(...)
  -- USE follow
  return follower(...)
end
-- Write the ends of claims of one worker that have ended at the same moment, and acknowledge them. Returns a word for each of
-- `ended`, with spaces between: 'OK' | 'SUPERSEDED' | 'LOST' | 'ASKED', or 'ALONE' where it could not be written. Of each there
-- is how many arguments it has, and these: up to 18 as lib/settle.lua has them, more as lib/follow.lua. `over` as there.
local function settle_all(prefix, stream, group, wake_channel, worker, ended_at, ended, over)
  -- USE settle
  local settle, follow = settler(prefix, stream, group, wake_channel, worker, ended_at, over), nil
  local settled, ids, at = {}, {}, 1
  while ended[at] do
    local last = at + ended[at]
    local is_over = last - at <= 18
    if not is_over then follow = follow or followed(prefix, stream, group, wake_channel, worker, ended_at, over) end
    local ok, live = pcall(is_over and settle or follow, unpack(ended, at + 1, last))
    settled[#settled + 1] = ok and live or 'ALONE'             -- I9: of this claim; or the server refuses every write
    if ok and live == 'OK' then
      local id = ended[at + 1]
      if stream_of(stream, id) == stream then ids[#ids + 1] = id else ack(stream, group, id) end
    end
    at = last + 1
  end
  if #ids > 0 then                                             -- I1
    redis.call('XACK', stream, group, unpack(ids))
    redis.call('XDEL', stream, unpack(ids))
  end
  return table.concat(settled, ' ')
end
