#!/usr/bin/env bash
# redis 8.1.0 (redis-py): the encoder takes a member of an IntEnum for an int and sends its repr; of a member of a StrEnum
# it sends the value.
#
# Seen: Encoder.encode(Level.HIGH) is b"<Level.HIGH: 3>"; of a plain 3 it is b"3", of a StrEnum's member b"high".
# So r.set("level", Level.HIGH) succeeds, and int(r.get("level")) fails later.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0
"$work/venv/bin/python" - <<'PY'
import enum
import sys
from redis._parsers import Encoder


class Level(enum.IntEnum):
    HIGH = 3


class Name(enum.StrEnum):
    HIGH = "high"


encode = Encoder("utf-8", "strict", False).encode
seen = [bytes(encode(value)) for value in (3, Level.HIGH, Name.HIGH)]
print(seen)
sys.exit(seen != [b"3", b"<Level.HIGH: 3>", b"high"])
PY
