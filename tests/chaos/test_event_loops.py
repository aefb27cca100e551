"""A soak of one docket that a worker and many event loops in threads use at once.

Two threads run one short event loop after the other, as synchronous web views do, of each kind in turn; one keeps a
loop. Whatever they add runs once; nothing of the loops stays. ``DOCKET_CHAOS_MINUTES`` is for the whole session: a
fifteenth of it is spent here.
"""

from __future__ import annotations

import gc
import resource
import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import anyio
import anyio.to_thread
import attrs
import pytest

from docket import Docket, Worker
from docket.transport import Client, Connection
from tests.chaos.test_chaos import minutes
from tests.loops import LOOPS, run
from tests.transport.stress import open_descriptors

#: More than are ever added.
MOST = 4_000_000


@attrs.define(eq=False)
class Soak:
    docket: Docket
    ran: bytearray = attrs.field(factory=lambda: bytearray(MOST))
    """How often each number ran. Made at once, so that it is in no figure."""
    added: int = 0
    loops: int = 0
    over: bool = False
    _number: threading.Lock = attrs.field(factory=threading.Lock)

    def next_number(self) -> int:
        with self._number:
            self.added += 1
            return self.added - 1

    async def note(self, number: int) -> int:
        self.ran[number] += 1
        return number

    async def add(self, count: int) -> None:
        numbers = [self.next_number() for _ in range(count)]
        async with anyio.create_task_group() as group:
            for number in numbers[1:]:
                group.start_soon(self.docket.add("note", key=f"k{number}"), number)
        execution = await self.docket.add("note", key=f"k{numbers[0]}")(numbers[0])
        assert await execution.get_result() == numbers[0]

    def short_runs(self) -> None:
        while not self.over:
            for loop in LOOPS:
                run(loop, self.add, 3)
                self.loops += 1

    async def one_long_run(self) -> None:
        while not self.over:
            await self.add(5)

    async def session(self, seconds: float) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(anyio.to_thread.run_sync, self.short_runs)
            group.start_soon(anyio.to_thread.run_sync, run, LOOPS[2], self.one_long_run)
            await anyio.sleep(seconds)
            self.over = True
        self.over = False


def alive() -> Counter[str]:
    gc.collect()
    counts: Counter[str] = Counter()
    for one in gc.get_objects():
        if isinstance(one, Client | Connection):
            counts[type(one).__name__] += 1
    return counts


def resident() -> float:
    """MB at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def soak(url: str, seconds: float) -> None:
    async with Docket("soak", url, execution_ttl=timedelta(seconds=5)) as docket:
        soak = Soak(docket)
        docket.register(soak.note, names=["note"])
        worker = Worker(docket, concurrency=20)
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run_forever)
            await soak.session(10)  # what is made once is there, and as many results as are kept
            before: Any = open_descriptors(), alive(), resident()
            added, loops, began = soak.added, soak.loops, time.perf_counter()
            await soak.session(seconds)
            took = time.perf_counter() - began
            after: Any = open_descriptors(), alive(), resident()
            worker.stop()
        await Worker(docket).run_until_finished()
        print(
            f"\n{url.partition(':')[0]}: {(soak.added - added) / took:.0f} adds per second for {took:.0f} s, in "
            f"{soak.loops - loops} event loops; descriptors {before[0]} -> {after[0]}, "
            f"MB {before[2]:.1f} -> {after[2]:.1f}"
        )
        assert after[:2] == before[:2]
        assert soak.ran[: soak.added] == b"\x01" * soak.added


@pytest.mark.chaos
def test_a_docket_is_used_by_a_worker_and_many_event_loops_for_long(url: str) -> None:
    run(LOOPS[0], soak, url, 60 * minutes() / 15)
