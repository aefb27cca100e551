"""Random sequences of the commands that docket and its users send, to a real server and to the one in this
process.

``Sequence(seed)`` makes the commands; ``compare`` sends them to both and returns the first reply that
differs. Run as a program for a long comparison: ``python -m tests.memory.fuzz COMMANDS [SEED]``.

Time is kept out of it: stream ids are explicit, expiries are far away (or past: EXPIRE then deletes; a SET
with a past expiry stays in DBSIZE until a real server stumbles over it, so there is none), and ages are "old"
(set by XCLAIM IDLE) or "new".
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.memory.choices import Arguments
from tests.memory.normal import normalise, words
from tests.memory.resp import Client, MemoryClient, Simple, SocketClient
from tests.memory.sequences import LENGTH, Sequence, Step
from tests.servers import Server

__all__ = ["EXPLAINED_ELSEWHERE", "Difference", "Sequence", "compare", "fuzz"]

#: What may stand in a difference from another release than 7.0, and why; from 7.0 there is none.
EXPLAINED_ELSEWHERE = {
    "smaller than current max_deleted_entry_id": "XSETID checks one thing more since 7.2",
}

QUEUED = Simple(b"QUEUED")


class Difference(NamedTuple):
    seed: int
    number: int
    arguments: Arguments
    real: Any
    twin: Any

    def __str__(self) -> str:
        return (
            f"seed {self.seed} step {self.number}: {' '.join(words(self.arguments))[:300]}\n"
            f"  real: {str(self.real)[:400]}\n  twin: {str(self.twin)[:400]}"
        )


def unordered(heard: list[Any]) -> list[Any]:
    """Patterns are matched, and subscriptions ended, in no particular order: sort what belongs together."""
    runs: list[tuple[Any, list[Any]]] = []
    for message in heard:
        kind = message[0] if isinstance(message, list) else message
        if kind in (b"message", b"pmessage"):
            run, part = (b"message", message[-2:]), message
        elif kind in (b"unsubscribe", b"punsubscribe"):
            run, part = kind, [b"" if message[1] is None else message[1]]
        else:
            run, part = message, [b""]
        if not runs or runs[-1][0] != run:
            runs.append((run, []))
        runs[-1][1].append(part)
    return [(run, sorted(parts)) for run, parts in runs]


class Side:
    """Three connections to one of the two servers."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        self.clients = [connect() for _ in range(3)]
        self.queued: list[list[Arguments]] = [[], []]
        self.pings = 0

    def start_anew(self) -> None:
        for client in self.clients[:2]:
            client.call("DISCARD")
            client.call("UNWATCH")
        self.queued = [[], []]
        self.listen(("UNSUBSCRIBE",))
        self.listen(("PUNSUBSCRIBE",))
        self.clients[0].call("FLUSHALL")

    def do(self, step: Step, *, lenient: bool) -> tuple[Any, Any]:
        """The reply, and its normal form."""
        if step.connection == 2:
            heard = self.listen(step.arguments)
            return heard, unordered(heard)
        reply = self.clients[step.connection].call(*step.arguments)
        queued = self.queued[step.connection]
        if step.arguments[0] == "EXEC" and isinstance(reply, list):
            parts = [normalise(one, part, lenient=lenient) for one, part in zip(queued, reply, strict=True)]
            queued.clear()
            return reply, parts
        if step.arguments[0] in ("EXEC", "DISCARD", "MULTI"):
            queued.clear()
        elif reply == QUEUED:
            queued.append(step.arguments)
            return reply, reply
        return reply, normalise(step.arguments, reply, lenient=lenient)

    def listen(self, arguments: Arguments) -> list[Any]:
        """Send to the subscriber and read up to a PING of ours: messages of before, then answers."""
        client = self.clients[2]
        self.pings += 1
        mark = f"mark-{self.pings}".encode()
        client.send(*arguments)
        client.send("PING", mark)
        heard: list[Any] = []
        while True:
            reply = client.read()
            if reply == mark or (isinstance(reply, list) and reply == [b"pong", mark]):
                return heard
            heard.append(reply)

    def close(self) -> None:
        for client in self.clients:
            client.close()


def compare(
    seed: int, real: Side, twin: Side, *, length: int = LENGTH, lenient: bool = False
) -> tuple[int, Difference | None]:
    """Run one sequence; returns how many commands were sent, and the first reply that differs."""
    real.start_anew()
    twin.start_anew()
    number = 0
    for number, step in enumerate(Sequence(seed, length), 1):
        (expected, left), (got, right) = real.do(step, lenient=lenient), twin.do(step, lenient=lenient)
        if left != right or type(left) is not type(right):
            return number, Difference(seed, number, step.arguments, expected, got)
    heard, overheard = real.listen(("PING",)), twin.listen(("PING",))
    if unordered(heard) != unordered(overheard):
        return number, Difference(seed, number + 1, ("messages",), heard, overheard)
    return number, None


def fuzz(
    port: int, name: str, commands: int, seed: int = 0, *, lenient: bool = False
) -> tuple[int, list[Difference]]:
    """Compare until ``commands`` were sent; returns how many, and the differences that are not explained."""
    real, twin = Side(lambda: SocketClient(port)), Side(lambda: MemoryClient(name))
    sent, differences = 0, list[Difference]()
    try:
        while sent < commands:
            count, difference = compare(seed, real, twin, lenient=lenient)
            sent, seed = sent + count, seed + 1
            if difference is None or (
                lenient and any(text in str(difference) for text in EXPLAINED_ELSEWHERE)
            ):
                continue
            differences.append(difference)
    finally:
        real.close()
        twin.close()
    return sent, differences


def main() -> None:
    commands, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with Server() as server:
        sent, differences = fuzz(server.port, "fuzz", commands, seed)
    for difference in differences[:20]:
        print(difference)
    print(
        f"{sent} commands, {len(differences)} differences",
        Counter(str(d.arguments[0]) for d in differences).most_common(),
    )


if __name__ == "__main__":
    main()
