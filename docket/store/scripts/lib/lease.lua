-- Have the leases of deliveries that are ours begin now (I4: the delivery counter stays).
-- USE stream_of
local function lease_again(stream, group, worker, ids)
  local usual = {}
  for _, id in ipairs(ids) do
    local name = stream_of(stream, id)
    if name == stream then usual[#usual + 1] = id
    else redis.call('XCLAIM', name, group, worker, 0, id, 'JUSTID') end
  end
  if #usual == 0 then return end
  usual[#usual + 1] = 'JUSTID'
  redis.call('XCLAIM', stream, group, worker, 0, unpack(usual))
end
