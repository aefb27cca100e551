-- A string as JSON in ASCII, quotes included: byte for byte what Python's json.dumps writes of it.
local short = {['"'] = '\\"', ['\\'] = '\\\\', ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t', ['\f'] = '\\f', ['\b'] = '\\b'}
local function unit(code) return string.format('\\u%04x', code) end
local function ascii(text)
  text = string.gsub(text, '[%c"\\]', function(c) return short[c] or unit(string.byte(c)) end)
  return '"' .. string.gsub(text, '[\194-\244][\128-\191]+', function(c)
    local lead, code = string.byte(c), 0
    code = lead - (#c == 2 and 192 or #c == 3 and 224 or 240)
    for at = 2, #c do code = code * 64 + string.byte(c, at) - 128 end
    if code < 65536 then return unit(code) end
    code = code - 65536
    return unit(55296 + math.floor(code / 1024)) .. unit(56320 + code % 1024)
  end) .. '"'
end
