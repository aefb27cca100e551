-- How a task is to be placed, as one argument: most are placed alike, and '' says that. Else these, with spaces between: `due`,
-- '1' for the stream and '0' for the queue; `replace`, '1' to replace what its key has, '2' to run
-- once more after it; `rescheduled`, the id of the delivery
-- that ends with this, or ''; `expected`, the generation that the key must have, '0' for any; `known_strikes`, the id of the
-- last strike that the caller has read, '' for none, '*' to place whatever the strikes are; '1' where the name of its key is
-- reserved; and, where it is to be the child of a group, the id of that. Where the call expires (lib/expiring.lua) the group comes in
-- any case, and then what its end needs if that moment has passed: how long its record is kept, the moment of now and that at which
-- it expires, as text. Returns five of them, the queue of the key, the group, and a list of those three, if they are there.
local function how_placed(prefix, how)
  if how == '' then how = '1 0  0  0' end
  local due, replace, rescheduled, expected, known_strikes, reserved, child_of, ttl_ms, at, until_when =
    string.match(how, '^(%d) (%d) (%S*) (%d+) (%S*) (%d) ?(%S*) ?(%S*) ?(%S*) ?(%S*)$')
  return due, replace, rescheduled, expected, known_strikes, prefix .. (reserved == '1' and ':parked' or ':queue'), child_of,
    until_when ~= '' and {ttl_ms, at, until_when}
end
