-- The world that scripts see: Lua 5.1 without files, without modules, with `redis`, and read-only globals.
-- The chunk is called with what Python lends it; it returns compile(source or what dump made), run(function, KEYS, ARGV)
-- and dump(function).
local lent = ...
local as_function, text_of, cjson = python.as_function, lent.text_of, lent.cjson
python = nil
local getinfo, pcall, xpcall, error, type, tostring, select = debug.getinfo, pcall, xpcall, error, type, tostring, select
local setmetatable, setfenv, loadstring, rawset, next = setmetatable, setfenv, loadstring, rawset, next
local find, sub, dump = string.find, string.sub, string.dump

local protected = setmetatable({}, {__mode = 'k'})
local function refuse_write() error('Attempt to modify a readonly table', 2) end
local function readonly(contents)
  local proxy = setmetatable({}, {__index = contents, __newindex = refuse_write, __metatable = false})
  protected[proxy] = true
  return proxy
end

local function error_table(message)                  -- '-CODE text' and 'text' alike
  if sub(message, 1, 1) == '-' then message = sub(message, 2) end
  if not find(message, ' ', 1, true) then message = 'ERR ' .. message end
  return {err = message}
end

local redis = {
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  call = as_function(lent.call), pcall = as_function(lent.pcall), sha1hex = as_function(lent.sha1hex),
  log = function() end,
  setresp = function(version)
    if version ~= 2 then error('RESP version must be 2.', 2) end
  end,
}
function redis.error_reply(...)
  local message = ...
  if select('#', ...) ~= 1 or type(message) ~= 'string' then
    return {err = 'ERR wrong number or type of arguments'}
  end
  return error_table(message)
end
function redis.status_reply(...)
  local message = ...
  if select('#', ...) ~= 1 or type(message) ~= 'string' then
    return {err = 'ERR wrong number or type of arguments'}
  end
  return {ok = message}
end

local globals, env = {}, {}
local function in_env(chunk, complaint)
  if chunk then return setfenv(chunk, env), nil end
  return nil, complaint
end
local function from_text(source, name)
  if sub(source, 1, 1) == '\27' then return nil, 'precompiled chunks are refused' end
  return in_env(loadstring(source, name))
end

local function plain(ok, problem, ...)               -- the server's pcall gives an error's text, not its table
  if ok then return ok, problem, ... end
  if type(problem) == 'userdata' then return ok, text_of(problem) end
  if type(problem) == 'table' and problem.err then return ok, problem.err end
  return ok, problem, ...
end

for _, name in next, {'xpcall', 'error', 'type', 'tostring', 'tonumber', 'select', 'pairs', 'ipairs', 'next', 'unpack',
                      'assert', 'rawget', 'rawequal', 'getmetatable', 'setmetatable', '_VERSION', 'collectgarbage'} do
  globals[name] = _G[name]
end
globals.pcall = function(...) return plain(pcall(...)) end
globals.rawset = function(target, key, value)
  if protected[target] then error('Attempt to modify a readonly table', 0) end
  return rawset(target, key, value)
end
globals.loadstring = from_text
globals.load = function(reader, name)
  local parts = {}
  while true do
    local part = reader()
    if part == nil or part == '' then break end
    parts[#parts + 1] = part
  end
  return from_text(table.concat(parts), name)
end
globals.redis = readonly(redis)
globals.cjson = readonly(cjson)
globals.string, globals.table, globals.math = readonly(string), readonly(table), readonly(math)
globals.coroutine = readonly(coroutine)
globals._G = env
getmetatable('').__metatable = false

setmetatable(globals, {__index = function(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end})
setmetatable(env, {__index = globals, __newindex = refuse_write, __metatable = {}})
protected[env] = true

local function locate(problem)                       -- runs where the error was raised: note the script's line
  if type(problem) == 'userdata' then problem = {err = text_of(problem)} end
  if type(problem) ~= 'table' then problem = {err = 'ERR ' .. tostring(problem)} end
  for level = 2, 16 do
    local frame = getinfo(level, 'Sl')
    if not frame then break end
    if frame.source == '@user_script' then
      problem.line = frame.currentline
      break
    end
  end
  return problem
end

local function compile(source)
  local script, complaint = in_env(loadstring(source, '@user_script'))
  return script, complaint
end
local function run(script, keys, argv)
  rawset(globals, 'KEYS', keys)
  rawset(globals, 'ARGV', argv)
  local ok, value = xpcall(script, locate)
  return ok, value
end
return compile, run, dump
