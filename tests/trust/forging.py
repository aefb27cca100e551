"""Somebody who may write to the server and has no key: what such a one makes of what others have signed.

A few hundred variants of each, or as many as ``DOCKET_FORGED`` says.
"""

from __future__ import annotations

import os
import random
from datetime import timedelta
from typing import Any

from docket import ConcurrencyLimit, Docket, Worker, clock
from tests.trust.traps import KEY, OTHER, trap

__all__ = [
    "FORGED",
    "PATIENCE",
    "Fields",
    "Forger",
    "drained",
    "first",
    "forger_on",
    "limited",
    "opened",
    "second",
]

FORGED = int(os.environ.get("DOCKET_FORGED", "300"))
PATIENCE = 60 + FORGED / 20

Fields = dict[bytes, bytes]


async def first(value: str, more: int = 0) -> str:
    return value


async def second(value: str, more: int = 0) -> str:
    return value


async def limited(
    value: str, more: int = 0, limit: ConcurrencyLimit = ConcurrencyLimit(max_concurrent=1)
) -> str:
    return value


def opened(url: str, key: str | None = KEY, name: str = "attacked", **settings: Any) -> Docket:
    docket = Docket(name, url, signing_keys=None if key is None else [key], **settings)
    for task in first, second, limited:
        docket.register(task)
    return docket


async def drained(docket: Docket) -> None:
    async with Worker(docket, minimum_check_interval=timedelta(milliseconds=5)) as worker:
        await worker.run_until_finished()


async def signed_calls(docket: Docket, count: int, task: Any = None) -> list[Fields]:
    """Messages that are signed, as they wait on the queue of a docket, which is cleared again."""
    found: list[Fields] = []
    for number in range(count):
        execution = await docket.add(
            task or (first, second)[number % 2], clock.now() + timedelta(hours=1), key=f"real-{number}"
        )(f"value {number}", more=number)
        found.append(execution.as_message())
    await docket.clear()
    return found


class Forger:
    """Makes messages that nobody has signed as they are."""

    def __init__(self, luck: random.Random, calls: list[Fields], others: list[Fields]) -> None:
        self.luck, self.calls, self.others = luck, calls, others

    def one(self, number: int) -> Fields:
        """A message under a key of its own: one of some ways, in turns."""
        message = dict(self.luck.choice(self.calls))
        ways = (
            self.trapped, self.trapped_tag, self.trapped_names, self.cut, self.bent, self.repeated, self.renamed,
            self.moved, self.crossed, self.foreign,
        )  # fmt: skip
        ways[number % len(ways)](message)
        message[b"generation"] = b"1"
        message[b"key"] = b"forged-%d" % number  # transplanted besides
        return message

    def trapped(self, message: Fields) -> None:
        message[b"args"] = trap("args")

    def trapped_tag(self, message: Fields) -> None:
        message[b"args"] = trap("args") + b"\n" + message[b"args"].partition(b"\n")[2]

    def trapped_names(self, message: Fields) -> None:
        message[b"kwargs"] = trap("kwargs")

    def cut(self, message: Fields) -> None:
        message[b"args"] = message[b"args"][: self.luck.randrange(len(message[b"args"]))]

    def bent(self, message: Fields) -> None:
        message[b"args"] = self.with_a_bit_turned(message[b"args"])

    def repeated(self, message: Fields) -> None:
        message[b"args"] = trap("args") + message[b"args"] * 2

    def renamed(self, message: Fields) -> None:
        message[b"function"] = b"second" if message[b"function"] == b"first" else b"first"

    def moved(self, message: Fields) -> None:
        """Under another key, as all are."""

    def crossed(self, message: Fields) -> None:
        other = self.luck.choice([each for each in self.calls if each[b"kwargs"] != message[b"kwargs"]])
        message[b"kwargs"] = other[b"kwargs"]

    def foreign(self, message: Fields) -> None:
        message.update(self.luck.choice(self.others))

    def with_a_bit_turned(self, payload: bytes) -> bytes:
        changed = bytearray(payload)
        changed[self.luck.randrange(len(changed))] ^= 1 << self.luck.randrange(8)
        return bytes(changed)

    def result(self, number: int, real: bytes, other: bytes) -> bytes:
        """What may stand in the place of a result."""
        ways = (
            lambda: trap("result"),
            lambda: trap("result") + real,
            lambda: trap("result") + b"\n" + real.partition(b"\n")[2],
            lambda: real[: self.luck.randrange(len(real))],
            lambda: self.with_a_bit_turned(real),
            lambda: real * 2,
            lambda: real.replace(b" 1 ", b" %d " % self.luck.randrange(2, 10**9)),
            lambda: other,
            lambda: self.luck.choice(self.calls)[b"args"],
            lambda: b"",
        )
        return ways[number % len(ways)]()


async def forger_on(docket: Docket, task: Any = None) -> Forger:
    """One who has seen signed calls of this docket, and of others, where it may have put its own."""
    name, url = docket.name, docket.url
    async with opened(url, OTHER, name) as other_key, opened(url, KEY, "elsewhere") as elsewhere:
        others = await signed_calls(elsewhere, 5, task) + await signed_calls(other_key, 5, task)
    return Forger(random.Random(7), await signed_calls(docket, 10, task), others)
