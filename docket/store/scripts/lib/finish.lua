-- Tell workers that run until finished when nothing waits or runs on the docket any more. What was done before this is done,
-- whatever somebody keeps under these names.
local function tell_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  local function is_empty(count, name) return redis.pcall(count, name) == 0 end
  if is_empty('XLEN', stream) and is_empty('ZCARD', queue) and is_empty('ZCARD', reserved_queue)
    and is_empty('SCARD', prefix .. ':waiting') then
    redis.call('PUBLISH', wake_channel, 'finished')
  end
end
