"""Fair shares, whatever is done, and where processes are killed: nothing is lost, doubled or starved."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import attrs
import pytest

from docket import Docket, Execution, FairShare, Priority, Worker, clock
from docket.store import Delivery
from tests.where import virtual_time
from tests.worker.conftest import working

LEASE = timedelta(seconds=20)
#: Longer than whatever goes on by itself takes here.
SETTLED = 100
LEVELS = list(Priority)
TENANTS = ["a", "b", "c", ""]


@attrs.define
class Model:
    """What is to run, by key: its level, tenant and number, which grows; and what became of it."""

    waiting: dict[str, tuple[Priority, str, int]] = attrs.field(
        factory=dict[str, "tuple[Priority, str, int]"]
    )
    began: list[tuple[Priority, str, int]] = attrs.field(factory=list["tuple[Priority, str, int]"])
    expected: set[int] = attrs.field(factory=set[int])
    lost: set[int] = attrs.field(factory=set[int])
    """Numbers that a dead worker had: they are delivered again, out of their order."""
    count: int = 0

    def check_order(self) -> None:
        for level in LEVELS:
            for tenant in TENANTS:
                numbers = [n for a, b, n in self.began if (a, b) == (level, tenant) and n not in self.lost]
                assert numbers == sorted(numbers)


@pytest.fixture
async def docket() -> AsyncIterator[Docket]:
    async with Docket("turns", "memory://") as docket:
        yield docket


@pytest.mark.anyio
@virtual_time
@pytest.mark.parametrize("seed", range(25))
async def test_each_runs_once_and_the_order_of_a_value_is_kept(docket: Docket, seed: int) -> None:
    """Adds, replaces, cancellations, pauses and workers that die with what they have taken, at random."""
    pick, model = random.Random(seed), Model()

    async def job(
        tenant: str, n: int, level: str, share: FairShare = FairShare("tenant", weights={"a": 2, "b": 0.5})
    ) -> None:
        model.began.append((Priority(level), tenant, n))
        model.waiting.pop(f"k{n}", None)

    docket.register(job)

    async def add(key: str, *, replace: bool = False) -> None:
        model.count += 1
        level, tenant = pick.choice(LEVELS), pick.choice(TENANTS)
        call = (
            docket.replace(job, clock.now(), key, priority=level)
            if replace
            else docket.add(job, key=key, priority=level)
        )
        await call(tenant, model.count, level.value)
        if replace:
            model.expected.discard(model.waiting[key][2])
        model.waiting[key] = level, tenant, model.count
        model.expected.add(model.count)

    for _ in range(6):
        for _ in range(pick.randint(5, 40)):
            match pick.choice(("add", "add", "add", "replace", "cancel", "die")):
                case "replace" if model.waiting:
                    await add(pick.choice([*model.waiting]), replace=True)
                case "cancel" if model.waiting:
                    key = pick.choice([*model.waiting])
                    _, _, n = model.waiting[key]
                    if n not in model.lost:
                        await docket.cancel(key)
                        model.expected.discard(n)
                        del model.waiting[key]
                case "die":
                    dead = docket.store.claims("dead")
                    await dead.create_group()
                    for one in await dead.take(pick.randint(1, 3)):
                        assert isinstance(one, Delivery)
                        n = model.waiting.pop(one.message.key)[2]
                        model.lost.add(n)
                case _:
                    await add(f"k{model.count}")
        if pick.random() < 0.5:
            async with working(Worker(docket, concurrency=1, redelivery_timeout=LEASE), patience=10**6):
                await anyio.sleep(SETTLED)
            for key in [
                key for key, (_, _, n) in model.waiting.items() if any(b[2] == n for b in model.began)
            ]:
                del model.waiting[key]
    await Worker(docket, concurrency=1, redelivery_timeout=LEASE).run_until_finished()
    assert sorted(n for _, _, n in model.began) == sorted(model.expected)
    model.check_order()
    left = [key.decode() for key in await docket.client.keys("turns:*")]
    assert not [key for key in left if ":ops:row:" in key or ":ops:turns:" in key or key.endswith(":waiting")]


WORKER = """
    import sys, anyio
    from datetime import timedelta
    from docket import Docket, FairShare, Worker

    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> None:
        await anyio.sleep(0.001)

    async def main() -> None:
        async with Docket(sys.argv[1], sys.argv[2]) as docket:
            docket.register(job)
            print("up", flush=True)
            await Worker(docket, concurrency=4, redelivery_timeout=timedelta(milliseconds=400)).run_forever()

    anyio.run(main)
"""


@pytest.mark.anyio
async def test_nobody_starves_where_processes_are_killed(redis_url: str, anyio_backend: Any) -> None:
    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> None: ...

    def start() -> subprocess.Popen[str]:
        words = [sys.executable, "-c", textwrap.dedent(WORKER), "killed", redis_url]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    async with Docket("killed", redis_url) as docket:
        calls = [docket.call(job)(tenant, n) for tenant in "abcd" for n in range(150)]
        executions: list[Execution[Any]] = list(await docket.add_many(calls))
        for _ in range(3):
            child = start()
            assert child.stdout is not None
            await anyio.to_thread.run_sync(child.stdout.readline)
            await anyio.sleep(0.15)
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
        docket.register(job)
        with anyio.fail_after(60):
            await Worker(docket, redelivery_timeout=timedelta(milliseconds=400)).run_until_finished()
        for each in executions:
            await each.sync()
        assert {each.state.value for each in executions} == {"completed"}
        assert (await docket.snapshot()).total_tasks == 0
