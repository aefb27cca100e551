"""The property test of the transport: unique payloads, random cancellation, a server that hangs up.

``python -m tests.transport.stress <loop> <commands>`` runs it alone; ``--without-hiredis`` before anything of
redis or docket is imported.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from contextlib import suppress
from typing import Any

if "--without-hiredis" in sys.argv:
    sys.modules["hiredis"] = None  # type: ignore[assignment]  # importing it raises ImportError from here on

import anyio
import attrs
import sniffio
from redis.exceptions import ConnectionError, ResponseError

from docket.transport import Client

CALLERS = 50


def open_descriptors() -> int:
    """How many file descriptors this process has."""
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))


def where(task: anyio.TaskInfo) -> set[str]:
    """The names of the functions in which a task is suspended."""
    names: set[str] = set()
    step: Any = task.coro
    while step is not None:
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None)
        if frame is not None:
            names.add(frame.f_code.co_name)
        step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None)
    return names


@attrs.define(eq=False)
class Stress:
    url: str
    commands: int
    seed: int
    pause: int
    issued: int = 0
    counts: Counter[str] = attrs.field(factory=Counter)
    scopes: dict[int, anyio.CancelScope] = attrs.field(factory=dict)
    over: bool = False
    random: random.Random = attrs.field(init=False)
    bare: bool = attrs.field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.random = random.Random(self.seed)

    async def run(self) -> Counter[str]:
        self.bare = sniffio.current_async_library() == "asyncio"
        client, killer = Client.from_url(self.url), Client.from_url(self.url)
        async with anyio.create_task_group() as around:
            around.start_soon(self.cancel_callers)
            around.start_soon(self.hang_up, killer)
            async with anyio.create_task_group() as callers:
                for _ in range(CALLERS):
                    callers.start_soon(self.caller, client)
            self.over = True
        for _ in range(2):  # the last hang-up may come this late
            with suppress(ConnectionError):
                assert await client.call("ECHO", b"%d" % self.issued) == b"%d" % self.issued
        client.close()
        killer.close()
        return self.counts

    async def caller(self, client: Client) -> None:
        mine = anyio.get_current_task().id
        while self.issued < self.commands:
            try:
                with anyio.CancelScope() as scope:
                    self.scopes[mine] = scope
                    if self.random.random() < 0.1:  # while parked, reading, writing or connecting: by time
                        scope.deadline = anyio.current_time() + self.random.random() * 0.003
                    if self.bare and self.random.random() < 0.1:
                        await self.cancelled_barely(client)
                    else:
                        await self.one(client)
                if scope.cancelled_caught:
                    self.counts["cancelled"] += 1
            except ConnectionError:
                self.counts["lost"] += 1
        del self.scopes[mine]

    async def cancelled_barely(self, client: Client) -> None:
        """By asyncio's own Task.cancel(), which strikes once and knows no scope."""
        task = asyncio.ensure_future(self.one(client))
        try:
            for _ in range(self.random.randrange(5)):
                await anyio.lowlevel.checkpoint()
        finally:
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            self.counts["cancelled barely"] += 1
            await anyio.lowlevel.checkpoint()  # where it was our own scope after all

    async def one(self, client: Client) -> None:
        self.issued += 1
        size = self.random.choice((0, 10, 100, 1000)) if self.random.random() < 0.998 else 700_000
        payload = b"%d:" % self.issued + b"x" * size
        kind = self.random.random()
        if kind < 0.85:
            assert await client.call("ECHO", payload) == payload
        elif kind < 0.9:
            assert await client.echo(payload) == payload
        elif kind < 0.95:
            parts = [b"%d.%d" % (self.issued, part) for part in range(self.random.randrange(1, 9))]
            assert await client.call_many([("ECHO", part) for part in parts]) == parts
        elif kind < 0.98:
            parts = [b"%d.%d" % (self.issued, part) for part in range(self.random.randrange(1, 9))]
            pipe = client.pipeline()
            for part in parts:
                pipe.echo(part)
            assert await pipe.execute() == parts
        else:
            word = f"NOSUCH{self.issued}"
            (refusal,) = await client.call_many([(word,)])
            assert isinstance(refusal, ResponseError)
            assert word in str(refusal)
        self.counts["verified"] += 1

    async def cancel_callers(self) -> None:
        """Cancel a random caller now and then, of whom every third is the one who works for the others."""
        while not self.over:
            for _ in range(self.random.randrange(1, self.pause)):
                await anyio.lowlevel.checkpoint()
            if not self.scopes:
                continue
            chosen = self.random.choice(list(self.scopes))
            if self.random.random() < 0.33:
                role = self.random.choice(("_lead", "_flush"))
                for task in anyio.get_running_tasks():
                    if task.id in self.scopes and role in where(task):
                        chosen = task.id
                        self.counts[f"cancelled in {role}"] += 1
                        break
            self.scopes[chosen].cancel()

    async def hang_up(self, killer: Client) -> None:
        """Let the server close all connections whenever some thousand commands have been issued."""
        next_at = 1000
        while not self.over:
            if self.issued >= next_at:
                next_at = self.issued + self.random.randrange(1000)
                self.counts["hung up"] += 1
                await killer.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await anyio.lowlevel.checkpoint()


async def stress(url: str, commands: int, seed: int | None = None, *, pause: int = 6) -> Counter[str]:
    """Issue that many commands; every reply that arrives is the caller's own, nobody hangs, nothing leaks.

    ``pause``: a caller is cancelled every so many turns of the loop, at most.
    """
    seed = random.randrange(1 << 30) if seed is None else seed
    run = Stress(url, commands, seed, pause)
    before = open_descriptors()
    try:
        with anyio.fail_after(60 + commands / 500):
            counts = await run.run()
        assert open_descriptors() == before, "a descriptor leaks"
    except BaseException:
        print(f"seed {seed}: {run.counts}")
        raise
    return counts


class LoopWithoutReaders(asyncio.SelectorEventLoop):
    """As Windows' Proactor loop: descriptors cannot be watched, so the callers themselves lead."""

    def add_reader(self, *_: Any) -> None:
        raise NotImplementedError

    def add_writer(self, *_: Any) -> None:
        raise NotImplementedError

    def remove_reader(self, *_: Any) -> bool:
        raise NotImplementedError

    def remove_writer(self, *_: Any) -> bool:
        raise NotImplementedError


def main() -> None:
    from docket.transport import resp
    from tests.servers import Server

    loop, commands = sys.argv[1], int(sys.argv[2])
    options: dict[str, Any] = {"use_uvloop": loop == "uvloop"}
    if loop == "leading":
        options = {"loop_factory": LoopWithoutReaders}

    async def run(url: str) -> Counter[str]:
        async with Client.from_url(url) as warm:  # what the loop itself keeps open is no leak
            await warm.call("PING")
        return await stress(url, commands)

    with Server() as server:
        counts = anyio.run(
            run,
            server.url,
            backend="trio" if loop == "trio" else "asyncio",
            backend_options={} if loop == "trio" else options,
        )
    print(loop, resp.make_reader.__qualname__, dict(counts))


if __name__ == "__main__":
    main()
