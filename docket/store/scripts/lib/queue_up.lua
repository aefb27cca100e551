-- Queue a message that is due: in its row where it takes turns, else as `put_on_stream` does, whose arguments it has. A third value
-- that is returned is the event that it waits in a row.
-- USE queued turns_on
local function queue_up(call, stream, run, fields, ...)
  local level, share = level_and_share(fields)
  if share then
    local id, fresh, event = turns_on(stream).take_turn(call, level, share, run, fields, ...)
    if id then return id, fresh, event end
  end
  return put_on_stream(call, stream, run, fields, ...)
end
