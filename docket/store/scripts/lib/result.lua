-- Keep a result for as long as the record of its run, by `ttl_ms` as in lib/kept.lua; '' is none.
local function keep_result(result_key, result, ttl_ms)
  if result == '' or ttl_ms == '0' then return end
  if ttl_ms == '' then redis.call('SET', result_key, result) else redis.call('SET', result_key, result, 'PX', ttl_ms) end
end
