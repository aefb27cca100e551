-- A run waits again: until when, if its call says so.
local function note_expiry(prefix, run, key, fields, from)
  -- USE expiring
  expiring_lib(prefix).note_again(run, key, fields, from)
end
-- What ends claims of one worker whose keys run again (a retry, a perpetual task, a run that is put off): it places the next run
-- in the same step. It returns what lib/settle.lua does, and 'ASKED' where the cancellation of the run was requested: then
-- nothing is written. `over` as there. With `same` '1' the run is not over, and what admission it has stays. Where a call is
-- over (no retry, and not put off) `ended_event` is published and its end recorded beside what follows; else it is ''. `result`
-- is kept under `result_key`, which the record calls `result_name`; none is ''. `tried` is the error of an attempt that is
-- retried, else ''. `slots` as in lib/settle.lua; then come a failure to be kept, in so many arguments as `failing` says, as in
-- lib/settle.lua, and a call as in lib/place.lua.
-- USE fence place running give_back result forget failures kin succeed
local function follower(prefix, stream, group, wake_channel, holder, ended_at, over)
  return function(id, generation, claim, key, key_queue, when, due, event, same, tried, slots, ended_event, state, why,
      result_name, result_key, result, ttl_ms, failing, ...)
    local run, call = prefix .. ':runs:' .. key, {select(failing + 1, ...)}
    local live, reserved, _, noted, child_of, groups, successor = check_fence(run, stream, group, id, generation, claim, holder)
    if live ~= 'LIVE' then
      if live == 'SUPERSEDED' then give_back(prefix, stream, wake_channel, slots, key, id, generation) end
      return live
    end
    local now = redis.call('HMGET', run, 'cancel_requested', 'admitted')
    if now[1] == generation then return 'ASKED' end
    local following, record = string.format('%d', tonumber(generation) + 1), {}
    if same == '1' and now[2] == generation then record = {'admitted', following} end
    if tried ~= '' then
      record[#record + 1], record[#record + 2] = 'attempt', call[5]
      record[#record + 1], record[#record + 2] = 'tried', tried
    end
    if failing ~= '0' then record[#record + 1], record[#record + 2] = 'noted', '1' end
    if ended_event ~= '' then
      for _, each in ipairs({'last_generation', generation, 'last_state', state, 'last_completed_at', ended_at, 'last_error', why,
          'last_result_key', result_name}) do
        record[#record + 1] = each
      end
    end
    forget(prefix .. ':progress:' .. key, over)
    local is_other = tried == '' and same ~= '1'               -- call
    local succeeded = successor and is_other and succeed(prefix, stream, key, successor, generation, {'state',
      state ~= '' and state or 'cancelled', 'completed_at', ended_at, 'error', why, 'result_key', result_name}, ended_event, failing ~= '0')
    if not succeeded then
      place(prefix, stream, key_queue, key, when, due, event, following, call, unpack(record))
      if same == '1' then leave_running(run, 'cancel_requested')
      elseif not is_other then leave_running(run, 'cancel_requested', 'nonce', 'groups')
      else leave_running(run, 'cancel_requested', 'nonce', 'groups', 'attempt', 'tried', 'group') end
    end
    if call[6] and same == '1' then note_expiry(prefix, run, key, call, 6) end
    child_of = is_other and child_of
    groups = same ~= '1' and groups                            -- a run that is put off finds them again
    if child_of or groups then end_in_groups(prefix, key, state ~= '' and state or 'cancelled', child_of, groups) end
    if ended_event ~= '' then
      keep_result(result_key, result, ttl_ms)
      if not succeeded then redis.call('PUBLISH', prefix .. ':state:' .. key, ended_event) end   -- after the event of what follows, as pydocket does
    end
    if failing ~= '0' then
      local next_at = tried ~= '' and string.format('%d', when * 1000) or ''
      failures_lib(prefix).try('keep_of', stream, id, key, next_at, tried == '' and '1' or '0', holder, unpack({...}, 1, failing))
    elseif noted and state == 'completed' then
      failures_lib(prefix).try('drop', key)
      redis.call('HDEL', run, 'noted')
    end
    give_back(prefix, stream, wake_channel, slots, key, id, generation, reserved)
    return 'OK'
  end
end
