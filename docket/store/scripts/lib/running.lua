-- Remove from a record what it has only while the run is running; `...` are more fields to remove. The delivery that ran is
-- acknowledged after it, and what the run waits as was written before: that may be refused (I1).
local function leave_running(run, ...)
  redis.call('HDEL', run, 'claim', 'worker', 'started_at', ...)
end
