"""What the server itself wrote down: its append-only file has every change of every record, through all restarts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

__all__ = ["Change", "commands", "histories"]

FINAL = frozenset({"completed", "failed", "cancelled"})


@attrs.frozen
class Change:
    """A record's state was written. ``at`` is the server's clock, in whole seconds."""

    at: int
    generation: int
    state: str
    claim: str
    worker: str

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


def commands(directory: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Every command of the append-only file in ``directory``, with the server's second; a torn last one is left out."""
    at = 0
    for path in sorted(directory.glob("*.incr.aof"), key=lambda path: int(path.name.split(".")[-3])):
        with path.open("rb") as file:
            while line := file.readline():
                if line.startswith(b"#TS:"):
                    at = int(line[4:])
                    continue
                if not line.startswith(b"*"):
                    break
                words: list[bytes] = []
                for _ in range(int(line[1:])):
                    size = int(file.readline()[1:] or b"0")
                    words.append(file.read(size))
                    file.read(2)
                yield at, words


def histories(commands: Iterable[tuple[int, list[bytes]]], prefix: str) -> dict[str, list[Change]]:
    """For each task key the states that its record had, in order."""
    start = f"{prefix}:runs:".encode()
    records: dict[str, dict[bytes, bytes]] = defaultdict(dict)
    found: dict[str, list[Change]] = defaultdict(list)
    for at, words in commands:
        verb = words[0].upper()
        if verb not in (b"HSET", b"HMSET", b"HDEL", b"DEL", b"UNLINK"):
            continue
        for name in words[1:2] if verb.startswith(b"H") else words[1:]:
            if not name.startswith(start):
                continue
            key = name[len(start) :].decode()
            record = records[key]
            if verb in (b"DEL", b"UNLINK"):
                record.clear()
            elif verb == b"HDEL":
                for field in words[2:]:
                    record.pop(field, None)
            else:
                written = dict(zip(words[2::2], words[3::2], strict=True))
                record |= written
                if b"state" in written:
                    found[key].append(_change(at, record))
    return dict(found)


def _change(at: int, record: dict[bytes, bytes]) -> Change:
    return Change(
        at,
        int(record.get(b"generation", b"0")),
        record[b"state"].decode(),
        record.get(b"claim", b"").decode(),
        record.get(b"worker", b"").decode(),
    )
