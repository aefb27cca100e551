-- Keep what failure a call has ended with (`...` as lib/failures.lua has it from `with_call` on), or forget the one that was
-- kept of it, where there is none. Seldom called: what is in here is made then.
local function note_end(prefix, stream, id, key, state, holder, ...)
  -- USE failures
  local lib = failures_lib(prefix)
  if select('#', ...) > 0 then lib.try('keep_of', stream, id, key, '', '0', holder, ...)
  else lib.try(state == 'completed' and 'drop' or 'give_up', key) end
end
