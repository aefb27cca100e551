-- Put a message on the stream and record that its run is queued there; `...` are more fields to record. `call` is
-- redis.call, or redis.pcall where an error is the reply. Returns the id of the entry, and how many fields are new.
local function put_on_stream(call, stream, run, fields, ...)
  local id = call('XADD', stream, '*', unpack(fields))
  if type(id) == 'table' then return id end
  return id, call('HSET', run, 'state', 'queued', 'stream_id', id, ...)
end
