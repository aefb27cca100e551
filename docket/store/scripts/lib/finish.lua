-- Publish that nothing waits or runs on the docket any more, for workers that run until finished. What the script wrote
-- before stands, whatever is kept under these names.
local function publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  local function is_empty(count, name) return redis.pcall(count, name) == 0 end
  if is_empty('XLEN', stream) and is_empty('ZCARD', queue) and is_empty('ZCARD', reserved_queue)
    and is_empty('SCARD', prefix .. ':waiting') then
    redis.call('PUBLISH', wake_channel, 'finished')
  end
end
