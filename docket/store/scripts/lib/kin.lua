-- What the end of a run has to do with task groups: it leaves the one whose child it is, and the groups that it has open are
-- doomed (I11). `child_of` and `groups` are fields of its record. What is wrong with the key of a group harms only that group
-- (I9). Seldom called: what is in here is made then.
local function end_in_groups(prefix, key, state, child_of, groups)
  -- USE errors leave_group doom
  local ok, problem = pcall(function()
    if child_of then leave_group(prefix, child_of, key, state) end
    if groups then doom_groups(prefix, key, groups) end
  end)
  if not ok and is_refusal(error_text(problem)) then error(problem, 0) end
end
