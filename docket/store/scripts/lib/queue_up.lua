-- Queue a message that is due: in its row where it takes turns, else as `put_on_stream` does, whose arguments it has. A third value
-- that is returned is the event that it waits in a row.
-- USE queued turns_on
local function queue_up(call, stream, run, fields, ...)
  local share, level = nil, 'normal'
  for at = 1, #fields > 14 and #fields or 0, 2 do
    if fields[at] == 'docket:share' then share = fields[at + 1]
    elseif fields[at] == 'docket:lane' then level = fields[at + 1] end
  end
  if share then
    local id, fresh, event = turns_on(stream).take_turn(call, level, share, run, fields, ...)
    if id then return id, fresh, event end
  end
  return put_on_stream(call, stream, run, fields, ...)
end
