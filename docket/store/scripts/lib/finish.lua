-- Publish that nothing waits or runs on the docket any more, for workers that run until finished. What the script wrote
-- before stands, whatever is kept under these names.
local function publish_if_finished(prefix, stream, queue, reserved_queue, wake_channel)
  local function is_empty(count, name) return redis.pcall(count, name) == 0 end
  if is_empty('XLEN', stream) and is_empty('ZCARD', queue) and is_empty('ZCARD', reserved_queue) then
    local waiting, lane = prefix .. ':waiting', prefix .. ':ops:lane:'
    local lanes = {lane .. 'high', lane .. 'low', lane .. 'high-turns', lane .. 'normal-turns', lane .. 'low-turns'}
    if redis.call('EXISTS', waiting, unpack(lanes)) > 0 then  -- most have none of them: one command
      if not is_empty('SCARD', waiting) then return end
      for _, each in ipairs(lanes) do
        if not is_empty('XLEN', each) then return end
      end
    end
    redis.call('PUBLISH', wake_channel, 'finished')
  end
end
