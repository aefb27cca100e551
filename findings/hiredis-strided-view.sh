#!/usr/bin/env bash
# hiredis 3.5.0 (the C packer that redis-py 8.1.0 uses when it is installed): a memoryview with gaps is packed as the
# bytes that lie at its beginning, not as the bytes that it shows.
#
# Seen: pack_command(("SET", "k", memoryview(b"abcd")[::2])) sends b"ab"; bytes() of that view is b"ac".
# No error is raised: the server stores the wrong value.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check hiredis==3.5.0
"$work/venv/bin/python" - <<'PY'
import sys
import hiredis

view = memoryview(b"abcd")[::2]
packed = hiredis.pack_command(("SET", "k", view))
print("shows:", bytes(view), "packed:", packed)
sys.exit(not (bytes(view) == b"ac" and packed == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nab\r\n"))
PY
