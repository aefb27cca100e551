-- Record that a worker lives, and which tasks it knows; the names of dead workers are pruned on the way. The moment is the
-- server's: the clocks of workers may differ by more than the time after which one counts as dead.
-- KEYS workers worker_tasks queue reserved_queue draining lanes
-- ARGV worker expiry_ms known_tasks prefix group depths_too drains serves task_workers_prefix tasks...
-- REPLY {score of the first queued task or '', score that the worker had or '', the score that it has now, why the server, which is
--   full, refuses other writes, or '', names of other types...}; tasks are refreshed only where known_tasks is '1'; with expiry_ms '0' it lives until it leaves. The list of
--   the workers of a task cannot be written where its key is of another type (I9). With depths_too '1' the depths of the
--   docket are noted; with drains '1' the worker is among those that drain; `serves` are the levels that it says it serves, '' where it says none
-- USE depths
local time = redis.call('TIME')
local score = expiry_ms == '0' and 'inf' or time[1] .. string.format('.%06d', time[2])
-- pydocket's workers write scores by their own clocks. Readers go by the score; pruning is only tidiness.
local oldest = time[1] - math.max(tonumber(expiry_ms) / 1000, 3600)
local before = redis.call('ZSCORE', workers, worker)
local reply = {'', before or '', score, ''}
local added = redis.pcall('ZADD', workers, score, worker)
if type(added) == 'table' then
  -- A full server accepts writes once memory may be freed: workers that live stay on the list, and no other comes.
  reply[4] = before and string.match(added.err, 'OOM (.*)') or ''
  if reply[4] ~= '' then redis.call('ZREMRANGEBYSCORE', workers, '-inf', '(' .. oldest) end
  redis.call('ZADD', workers, score, worker)
end
-- Readers go by these scores, too. What somebody else has put there costs the mark alone (I9).
local function list(names, member)
  redis.pcall('ZREMRANGEBYSCORE', names, '-inf', '(' .. oldest)  -- first, so that a full server takes what follows
  redis.pcall('ZADD', names, score, member)
  if expiry_ms ~= '0' then redis.call('PEXPIRE', names, math.max(tonumber(expiry_ms), 3600000)) end
end
if serves ~= '' then list(lanes, serves .. ' ' .. worker) end
if drains == '1' then list(draining, worker)
elseif known_tasks == '1' then
  redis.pcall('ZREM', draining, worker) -- a process of this name may have been killed as it drained
end
-- The lists outlive the worker: readers go by the scores. One that no worker writes any more would stay for ever.
local kept_ms = math.max(tonumber(expiry_ms), 3600000)
if known_tasks == '1' then
  -- Of a process of this name that is dead, and may have known other tasks.
  local is_another = not before or (expiry_ms ~= '0' and tonumber(before) < time[1] - expiry_ms / 1000)
  if is_another and redis.call('SCARD', worker_tasks) > 0 then redis.call('DEL', worker_tasks) end
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', '(' .. oldest)
  for at, task in ipairs(tasks) do
    local names = task_workers_prefix .. task
    local added = redis.pcall('ZADD', names, score, worker)
    if added == 1 then
      redis.call('ZREMRANGEBYSCORE', names, '-inf', '(' .. oldest)
    elseif added ~= 0 then
      if not string.find(added.err, 'WRONGTYPE') then return added end
      reply[#reply + 1] = names
    end
    -- The TTL is long enough for a list that pydocket's workers share: they set none, and write their names again every few
    -- seconds.
    if expiry_ms ~= '0' and reply[#reply] ~= names then redis.call('PEXPIRE', names, kept_ms) end
    if at % 1000 == 1 then redis.call('SADD', worker_tasks, unpack(tasks, at, math.min(at + 999, #tasks))) end
  end
  if #tasks > 0 and expiry_ms ~= '0' then redis.call('PEXPIRE', worker_tasks, kept_ms) end
end
local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')[2]
local reserved = redis.call('ZRANGE', reserved_queue, 0, 0, 'WITHSCORES')[2]
if reserved and (not first or tonumber(reserved) < tonumber(first)) then first = reserved end
reply[1] = first or ''
if depths_too == '1' and reply[4] == '' then note_depths(prefix, group, time[1] * 1000 + math.floor(time[2] / 1000)) end
return reply
