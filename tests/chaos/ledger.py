"""What the processes of a chaos session write down: files beside the server under torment, one line a fact.

Each process appends to a file of its own with single writes, so that a SIGKILL leaves whole lines behind. Moments
are those of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Entry", "Ledger", "read"]

#: A system gives the number of a dead process to another one, sooner or later. The second one with a number gets
#: another, higher by this than any number of a process.
AGAIN = 10**7

Entry: TypeAlias = dict[str, Any]
"""``at`` (seconds, monotonic), ``what``, ``pid``, and what belongs to that kind of fact."""


class Ledger:
    """Appends facts to ``directory``; may be used by several threads."""

    def __init__(self, directory: Path, role: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{role}-{os.getpid()}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, what: str, **facts: Any) -> None:
        entry = {"at": time.monotonic(), "what": what, "pid": os.getpid(), **facts}
        os.write(self._file, json.dumps(entry).encode() + b"\n")


def read(directory: Path) -> list[Entry]:
    """All facts of all processes, in order of time. Processes that had the same number are told apart."""
    entries: list[Entry] = []
    for path in directory.glob("*.jsonl"):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):  # else the process was killed in the midst of it
                entries.append(json.loads(line))
    entries.sort(key=lambda entry: entry["at"])
    starts: Counter[int] = Counter()
    for entry in entries:
        if entry["what"] == "started":
            starts[entry["of"]] += 1
        for name in ("pid", "of"):
            if name in entry:
                entry[name] += max(starts[entry[name]] - 1, 0) * AGAIN
    return entries
