"""Deliveries that were set aside because they could not be decoded, or their end not be written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from ..moments import read_epoch
from ..transport import Client
from ..values import define, frozen
from .answers import answers, named
from .cursors import checked_range
from .foreign import text
from .keys import Keys
from .records import read_mapping
from .written import Written, written_of

__all__ = ["DeadLetter", "DeadLetters"]

LONGEST, MOST = 200, 30


@frozen(kw_only=True)
class DeadLetter:
    """A delivery that was set aside: when, which entry of the stream it was, and why.

    ``entry`` is its place among the dead letters. ``function`` and ``key`` are empty where it has none. ``fields`` are
    those of the delivery, each as Python writes its bytes, with at most `LONGEST` bytes of each, and `MOST` of them.
    ``written`` is how its arguments say they are written, which may be why it was set aside.
    """

    entry: str
    at: datetime | None
    message_id: str
    reason: str
    function: str
    key: str
    fields: Mapping[str, str] = {}
    written: Written = Written()


@define(eq=False)
class DeadLetters:
    """Reads those of one docket."""

    client: Client
    keys: Keys

    async def newest(self, limit: int, before: str = "") -> tuple[list[DeadLetter], int]:
        """The newest of them, of those ``before`` an entry, and how many there are in all.

        Raises: UsageError - ``before`` is no entry; KeyUnreadable; RedisError.
        """
        name, end = self.keys.dead, checked_range(f"({before}" if before else "+")
        asked = [("XREVRANGE", name, end, "-", "COUNT", limit), ("XLEN", name)]
        found, total = (named(each, name, "stream") for each in answers(await self.client.call_many(asked)))
        entries = cast("list[tuple[bytes, list[bytes]]]", found)
        return [_letter(text(entry), flat) for entry, flat in entries], cast("int", total)


def _letter(entry: str, flat: list[bytes]) -> DeadLetter:
    fields = read_mapping(flat)

    def said(name: bytes) -> str:
        return text(fields.get(name, b""))

    return DeadLetter(
        entry=entry,
        at=read_epoch(int(entry.partition("-")[0]) / 1000),
        message_id=said(b"dead:id"),
        reason=said(b"dead:reason"),
        function=said(b"function"),
        key=said(b"key"),
        fields=_spelled(fields),
        written=written_of(fields.get(b"args")),
    )


def _spelled(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    own = [name for name in fields if not name.startswith(b"dead:")]
    return {text(name[:LONGEST]): _bytes(fields[name]) for name in own[:MOST]}


def _bytes(value: bytes) -> str:
    return repr(value) if len(value) <= LONGEST else f"{value[:LONGEST]!r}... ({len(value)} bytes)"
