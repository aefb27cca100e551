"""Mutated messages, records, events, strikes and members on a docket at work.

``python -m tests.hostile.fuzz asyncio 10000 1`` writes so many, from a seed; with ``1-250`` in the place of both it
writes that batch again, and finds out which steps of it are enough.

A batch is one docket with one worker. Whatever was written to it, in the end the worker lives, its innocents ran once
each, nothing is left that could have run, and whoever reads the docket gets an answer or an error of ours.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import attrs
from redis.exceptions import RedisError

from docket import Docket, Execution, Worker
from docket.errors import DocketError
from docket.text import error_text, readable
from tests.hostile.harness import Log
from tests.hostile.mutations import TASKS, Samples, Step, gather, steps
from tests.servers import Server

__all__ = ["BATCH", "Finding", "fuzz"]

#: Steps per batch, and how many of them are written at once.
BATCH, CHUNK = 250, 25

#: How many seconds a batch may take to come to rest. What is left to redelivery waits for `LEASE`.
PATIENCE, LEASE = 30.0, timedelta(seconds=2)


@attrs.frozen
class Finding:
    """What went wrong, and the steps that are enough for it."""

    seed: str
    what: str
    steps: Sequence[Step]

    def __str__(self) -> str:
        shown = "\n".join(f"    {readable(step.what)[:1500]}" for step in self.steps[:10])
        return f"{self.seed}: {self.what}\n  by {len(self.steps)} steps:\n{shown}"


class Wrong(Exception):
    """What went wrong in a batch."""


@attrs.define
class _Batch:
    docket: Docket
    worker: Worker
    ran: dict[str, int] = attrs.field(factory=dict)
    ended: BaseException | str | None = None
    asked: bool = False
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)

    async def work(self) -> None:
        try:
            await self.worker.run_forever()
            self.ended = "returned"
        except Exception as error:
            self.ended = error
        except BaseException as error:
            self.ended = error
            raise
        finally:
            if not self.asked:
                self.scope.cancel()

    # those who are innocent -------------------------------------------------------------------------------

    async def place(self, number: int) -> list[Execution[Any]]:
        ran = self.ran

        async def innocent(name: str) -> str:
            ran[name] = ran.get(name, 0) + 1
            return name

        def innocent_thread(name: str) -> str:
            ran[name] = ran.get(name, 0) + 1
            return name

        return [
            await self.docket.add(task, key=f"{task.__name__}-{number}")(f"{task.__name__}-{number}")
            for task in (innocent, innocent_thread)
        ]

    async def see(self, executions: Sequence[Execution[Any]]) -> None:
        for execution in executions:
            value = await execution.get_result()
            if value != execution.key or self.ran.get(execution.key) != 1:
                raise Wrong(f"{execution.key} returned {value!r} and ran {self.ran.get(execution.key)} times")

    # from its first step to its rest ----------------------------------------------------------------------

    async def write(self, batch: Sequence[Step]) -> None:
        placed: list[Execution[Any]] = []
        for at in range(0, len(batch), CHUNK):
            chunk = batch[at : at + CHUNK]
            undone = [step for step in chunk if step.undo]
            if not undone:
                placed += await self.place(at)
            chunk = [step for step in chunk if step not in undone[1:]]  # one at a time
            await self.docket.client.call_many([command for step in chunk for command in step.commands])
            if undone:
                await anyio.sleep(0.05)  # the worker is to meet it
                await self.docket.client.call_many(undone[0].undo)
        placed += await self.place(-1)
        await self.see(placed)

    async def rest(self) -> None:
        """Wait until nothing is left that could run."""
        keys = self.docket.keys
        left: Any = None
        with anyio.move_on_after(PATIENCE):
            while True:
                stream, pending, queued = await self.docket.client.call_many(
                    [
                        ("XLEN", keys.stream),
                        ("XPENDING", keys.stream, "docket-workers"),
                        ("ZCOUNT", keys.queue, "-inf", 1_800_000_000 - 2e8),
                    ]
                )
                if self.docket.client.is_memory:  # where nobody looks for what was not announced
                    await self.docket.client.call("PUBLISH", keys.wake, "due 0")
                left = (stream, pending[0] if isinstance(pending, list) else 0, queued)
                if left == (0, 0, 0):
                    return
                await anyio.sleep(0.02)  # what strangers wrote is announced by nobody
        async with self.docket.redis() as redis:
            entries = (await redis.xrange(keys.stream, count=3)) if left[0] else []
            records = [
                await redis.hgetall(keys.run(fields.get(b"key", b"").decode())) for _, fields in entries
            ]
        raise Wrong(f"left on the stream, pending, and due: {left}: {entries} {records}")

    async def read(self, keys: Sequence[str]) -> None:
        """Ask for everything that can be asked for."""
        docket = self.docket

        async def ask(what: str, asking: Any, of: Execution[Any] | None = None) -> None:
            try:
                await asking
            except (DocketError, RedisError, TimeoutError):
                pass
            except Exception as error:
                if of is None or error_text(error) != of.error:  # what the task itself raised
                    raise Wrong(f"{what} raised {error_text(error)} {_where(error)}") from error

        await ask("snapshot", docket.snapshot())
        await ask("workers", docket.workers())
        await ask("task_workers", docket.task_workers("plain"))
        await ask("strikes", docket.strikes())
        await ask("concurrency", docket.concurrency())
        for key in keys:
            execution: Execution[Any] | None = None
            try:
                execution = await docket.get_execution(key)
            except (DocketError, RedisError):
                continue
            except Exception as error:
                raise Wrong(f"get_execution raised {error_text(error)} {_where(error)}") from error
            if execution is not None:
                await ask("get_result", execution.get_result(timeout=timedelta(0)), execution)
                await ask("sync", execution.sync())
        await ask("clear", docket.clear())


def _where(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "docket/" in frame.filename]
    return " <- ".join(
        f"{frame.filename.rpartition('docket/')[2]}:{frame.lineno}" for frame in frames[::-1][:4]
    )


@asynccontextmanager
async def _opened(url: str, name: str) -> AsyncGenerator[_Batch]:
    async with Docket(name, url, execution_ttl=timedelta(seconds=60)) as docket:
        for task in TASKS:
            docket.register(task)
        worker = Worker(
            docket, "worker", redelivery_timeout=LEASE, reconnection_delay=timedelta(milliseconds=20),
            unknown_task_patience=timedelta(0), shutdown_timeout=timedelta(seconds=1),
        )  # fmt: skip
        try:
            yield _Batch(docket, worker)
        finally:
            with anyio.CancelScope(shield=True):
                async with docket.redis() as redis:
                    names = [key async for key in redis.scan_iter(match=f"*{name}:*", count=1000)]
                    if names:
                        await redis.delete(*names)


async def _tried(url: str, name: str, batch: Sequence[Step]) -> str:
    """Write a batch to a docket at work; return what went wrong, or nothing."""
    log = Log()
    with log.listening():
        async with _opened(url, name) as tried, anyio.create_task_group() as group:
            group.start_soon(tried.work)
            said = ""
            try:
                with tried.scope, anyio.fail_after(2 * PATIENCE):
                    async with anyio.create_task_group() as beside:
                        beside.start_soon(_follow, await _watched(tried.docket))
                        await tried.write(batch)
                        await tried.rest()
                        beside.cancel_scope.cancel()
                    await tried.read([f"fuzz-{number}" for number in range(1, len(batch) + 1)])
            except Exception as error:
                while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
                    error = error.exceptions[0]
                said = str(error) if isinstance(error, Wrong) else f"{error_text(error)} {_where(error)}"
            if tried.ended is not None:
                ended = tried.ended
                said = ended if isinstance(ended, str) else f"{error_text(ended)} {_where(_only(ended))}"
                said = f"the worker has ended: {said}"
            tried.asked = True
            tried.worker.hand_back()
    lost = [line for line in log.written if line.startswith("LOST")]
    return said or (f"a line of the log: {lost[0]}" if lost else "")


def _only(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


async def _watched(docket: Docket) -> Execution[Any]:
    async def watched() -> None: ...

    return await docket.add(watched, key="watched")()


async def _follow(execution: Execution[Any]) -> None:
    """Follow a task of which strangers tell: until one says that it has ended, and again."""
    while True:
        try:
            async for _ in execution.subscribe():
                pass
        except (DocketError, RedisError):
            pass
        except Exception as error:
            raise Wrong(f"subscribe raised {error_text(error)} {_where(error)}") from error
        await anyio.sleep(0.05)


async def _shrunk(url: str, seed: str, batch: Sequence[Step], what: str) -> Finding:
    """Leave out what is not needed for the same kind of failure; a dozen tries at most."""
    kept, size, tries = list(batch), len(batch) // 2, 0
    while size and tries < 40 and len(kept) > 1:
        at = 0
        while at < len(kept) and tries < 40:
            fewer = kept[:at] + kept[at + size :]
            tries += 1
            if fewer and (again := await _tried(url, f"shrink-{seed}-{tries}", fewer)):
                kept, what = fewer, again
            else:
                at += size
        size //= 2
    return Finding(seed, what, kept)


async def fuzz(
    url: str, count: int, seed: int = 0, *, batch: int = BATCH, most: int = 1, say: Any = None
) -> list[Finding]:
    """Write ``count`` mutations, a batch at a time; return what went wrong, at most so many findings."""
    samples: Samples = await gather(url)
    found: list[Finding] = []
    for number in range(0, count, batch):
        name = f"{seed}-{number}"
        async with Docket(f"fuzz-{name}", url) as docket:
            drawn = steps(name, min(batch, count - number), samples, docket)
        if said := await _tried(url, f"fuzz-{name}", drawn):
            if say is not None:
                say(f"{name}: {said}")
            found.append(Finding(name, said, drawn))
            if len(found) >= most:
                break
    return found


async def _main(count: int, seed: int, url: str) -> None:
    def say(what: str) -> None:
        print(what, flush=True)

    found = await fuzz(url, count, seed, most=10**6, say=say)
    print(f"{count} mutations, {len(found)} batches went wrong", flush=True)


async def _replay(name: str, url: str, size: int) -> None:
    """Run one batch again, and find out which of its steps it takes."""
    samples = await gather(url)
    async with Docket(f"fuzz-{name}", url) as docket:
        drawn = steps(name, size, samples, docket)
    print(await _shrunk(url, name, drawn, ""), flush=True)


def main() -> None:
    loop, what = sys.argv[1], sys.argv[2]
    options: dict[str, Any] = (
        {"backend": "trio"} if loop == "trio" else {"backend_options": {"use_uvloop": loop == "uvloop"}}
    )
    with Server() as server:
        if "-" in what:
            anyio.run(_replay, what, server.url, BATCH, **options)
        else:
            anyio.run(_main, int(what), int(sys.argv[3]) if len(sys.argv) > 3 else 0, server.url, **options)


if __name__ == "__main__":
    main()
