-- Have the leases of deliveries that are ours begin now (I4: the delivery counter stays).
-- USE by_stream
local function lease_again(stream, group, worker, ids)
  for name, some in pairs(by_stream(stream, ids)) do
    some[#some + 1] = 'JUSTID'
    redis.call('XCLAIM', name, group, worker, 0, unpack(some))
  end
end
