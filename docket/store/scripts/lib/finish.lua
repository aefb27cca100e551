-- Whether nobody waits for a limit or a turn, and nothing is on a lane. On most dockets none of these is there, so one command finds out.
local function has_no_others(prefix, stream, is_empty)
  -- USE lanes
  local waiting, lanes = prefix .. ':waiting', lanes_of(stream)
  if is_empty('EXISTS', waiting, unpack(lanes)) then return true end
  local nothing = is_empty('SCARD', waiting)
  for _, lane in ipairs(lanes) do nothing = nothing and is_empty('XLEN', lane) end
  return nothing
end
-- Publish that nothing waits or runs on the docket any more, for workers that run until finished. What the script wrote
-- before stands, whatever is kept under these names.
local function publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  local function is_empty(count, ...) return redis.pcall(count, ...) == 0 end
  if is_empty('XLEN', stream) and is_empty('ZCARD', queue) and is_empty('ZCARD', reserved_queue)
    and has_no_others(prefix, stream, is_empty) then
    redis.call('PUBLISH', wake_channel, 'finished')
  end
end
