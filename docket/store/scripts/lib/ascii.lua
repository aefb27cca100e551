-- A string as JSON in ASCII, quotes included: byte for byte what Python's json.dumps writes. Each byte that is not part of
-- UTF-8 becomes a replacement character.
local short = {['"'] = '\\"', ['\\'] = '\\\\', ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t', ['\f'] = '\\f', ['\b'] = '\\b'}
local function unit(code) return string.format('\\u%04x', code) end
-- The code point that begins at `at`, and how many bytes it takes; nothing where none begins.
local function code_at(text, at)
  local lead = string.byte(text, at)
  local more = lead >= 240 and 3 or lead >= 224 and 2 or 1
  local code = lead - (more == 3 and 240 or more == 2 and 224 or 192)
  for offset = 1, more do
    local byte = string.byte(text, at + offset)
    if not byte or byte > 191 then return end
    code = code * 64 + byte - 128
  end
  local least = more == 3 and 65536 or more == 2 and 2048 or 128
  if lead < 194 or code < least or code > 1114111 or (code > 55295 and code < 57344) then return end
  return code, more + 1
end
local function ascii(text)
  text = string.gsub(text, '[%c"\\]', function(c) return short[c] or unit(string.byte(c)) end)
  return '"' .. string.gsub(text, '[\128-\255]+', function(run)
    local units, at = {}, 1
    while at <= #run do
      local code, taken = code_at(run, at)
      if code and code > 65535 then
        units[#units + 1] = unit(55296 + math.floor((code - 65536) / 1024)) .. unit(56320 + (code - 65536) % 1024)
      else
        units[#units + 1] = unit(code or 65533)
      end
      at = at + (taken or 1)
    end
    return table.concat(units)
  end) .. '"'
end
