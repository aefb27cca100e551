-- Tell workers that run until finished when nothing waits or runs on the docket any more.
local function tell_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  if redis.call('XLEN', stream) == 0 and redis.call('ZCARD', queue) == 0 and redis.call('ZCARD', reserved_queue) == 0
    and redis.call('SCARD', prefix .. ':waiting') == 0 then
    redis.call('PUBLISH', wake_channel, 'finished')
  end
end
