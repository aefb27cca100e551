-- Give back what a claim that ends has of limits: the slots that it holds ('' is none), and what is `reserved` for its run.
-- USE slots
local function give_back(prefix, stream, wake_channel, slots, key, id, generation, reserved)
  if slots == '' and not reserved then return end
  local lib = limits_lib()
  lib.release(lib.site_of(prefix, stream, wake_channel), slots, key, id, generation, reserved)
end
