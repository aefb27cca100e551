-- How long the record of a run is kept: as the caller gave it for this task (`given`, a field of the record; pydocket lets it
-- stand), else as the docket that ends the run says. Milliseconds; '0' is not at all, '' for ever.
-- USE numbers
local function kept_for(given, ttl_ms)
  return (given == '' or whole(given)) and given or ttl_ms
end
