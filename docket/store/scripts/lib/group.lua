-- The consumer group of every docket, for scripts of which each argument counts.
local group = 'docket-workers'
