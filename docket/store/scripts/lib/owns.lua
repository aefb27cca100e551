-- I2: whether a fence is that of the claim that owns a run; `now` are generation, claim and worker of its record. The
-- generation '0' is not compared. A claim is told from every other one by its delivery, also where the run was deleted and
-- began anew.
local function owns(now, id, generation, claim, holder)
  return now[2] == id .. '.' .. claim and now[3] == holder and (now[1] == generation or generation == '0')
end
