-- Publish that nothing waits or runs on the docket any more, for workers that run until finished. What the script wrote
-- before stands, whatever is kept under these names.
local function publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  local function is_empty(count, name) return redis.pcall(count, name) == 0 end
  if is_empty('XLEN', stream) and is_empty('ZCARD', queue) and is_empty('ZCARD', reserved_queue) then
    local waiting, high, low = prefix .. ':waiting', prefix .. ':ops:lane:high', prefix .. ':ops:lane:low'
    if redis.call('EXISTS', waiting, high, low) == 0      -- most have none of them: one command
      or (is_empty('SCARD', waiting) and is_empty('XLEN', high) and is_empty('XLEN', low)) then
      redis.call('PUBLISH', wake_channel, 'finished')
    end
  end
end
