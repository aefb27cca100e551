"""A delivery has one holder at a time: leases, redelivery, fences (I2, I3, I4)."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import textwrap
from typing import Any

import anyio
import anyio.to_thread
import pytest

from docket import ConcurrencyLimit, CurrentExecution, Docket, Execution, Worker
from docket.execution import ExecutionState
from docket.store import GROUP, Admissions, Ended
from tests.durations import ms
from tests.where import asyncio_and_trio, virtual_time
from tests.worker.conftest import PATIENCE, at_most, working

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

DIES = """
    import sys, anyio
    from datetime import timedelta
    from docket import Docket, Worker
    async def task():
        print("begun", flush=True)
        await anyio.sleep_forever()
    async def main():
        async with Docket(sys.argv[1], sys.argv[2]) as docket:
            docket.register(task)
            await Worker(docket, "dies", redelivery_timeout=timedelta(seconds=0.3)).run_forever()
    anyio.run(main)
"""


async def test_the_task_of_a_killed_worker_runs_elsewhere_after_the_redelivery_timeout(
    redis_url: str,
) -> None:
    seen: list[tuple[bool, int]] = []

    async def task(execution: Execution[Any] = CurrentExecution()) -> str:
        seen.append((execution.redelivered, execution.attempt))
        return "done"

    async with Docket("killed", redis_url) as docket:
        execution = await docket.add(task)()
        command = [sys.executable, "-c", textwrap.dedent(DIES), "killed", redis_url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert await anyio.to_thread.run_sync(process.stdout.readline) == b"begun\n"
            finally:
                process.send_signal(signal.SIGKILL)
        async with working(Worker(docket, "heir", redelivery_timeout=ms(300))):
            assert await execution.get_result() == "done"
    assert seen == [(True, 1)]


async def test_an_abandoned_delivery_is_not_taken_before_the_timeout(docket: Docket) -> None:
    ran = anyio.Event()

    async def task() -> None:
        ran.set()

    await docket.add(task)()
    dead = docket.store.claims("dead")
    await dead.create_group()
    assert await dead.take(1)
    async with at_most(), anyio.create_task_group() as group:
        began = anyio.current_time()
        heir = Worker(docket, "heir", redelivery_timeout=ms(200))
        group.start_soon(heir.run_forever)
        await ran.wait()
        assert anyio.current_time() - began > 0.15
        heir.stop()


async def test_a_busy_worker_takes_abandoned_deliveries_over_as_it_has_room(docket: Docket) -> None:
    order: list[str] = []

    async def task(name: str) -> None:
        order.append(name)
        await anyio.sleep(0)

    abandoned = [await docket.add(task)(f"abandoned-{number}") for number in range(5)]
    dead = docket.store.claims("dead")
    await dead.create_group()
    assert len(await dead.take(5)) == 5
    async with working(Worker(docket, "heir", concurrency=1, redelivery_timeout=ms(80))):
        for execution in abandoned:
            await execution.get_result()
    assert sorted(order) == [f"abandoned-{number}" for number in range(5)]


async def test_new_tasks_and_abandoned_ones_take_turns(docket: Docket) -> None:
    """A worker that has died may have left very many, that only waited for others."""
    order: list[str] = []

    async def task(name: str) -> None:
        order.append(name)
        await anyio.sleep(0)

    executions = [await docket.add(task)("abandoned") for _ in range(20)]
    dead = docket.store.claims("dead")
    await dead.create_group()
    assert len(await dead.take(20)) == 20
    executions += [await docket.add(task)("new") for _ in range(20)]
    await anyio.sleep(0.1)  # longer than the timeout
    async with working(Worker(docket, "heir", concurrency=1, redelivery_timeout=ms(80))):
        for execution in executions:
            await execution.get_result()
    halfway = order[:20]
    assert 5 <= halfway.count("new") <= 15


@virtual_time
async def test_a_body_whose_lease_another_worker_took_is_stopped_and_writes_nothing(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    """I2: the new holder's claim is the one that counts."""
    begun, ended = anyio.Event(), anyio.Event()

    async def endless() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    execution = await docket.add(endless)()
    async with working(Worker(docket, "loser", redelivery_timeout=ms(1000))):
        await begun.wait()
        async with docket.redis() as redis:
            [entry] = await redis.xrange(docket.stream_key)
            await redis.xclaim(docket.stream_key, GROUP, "winner", 0, [entry[0]])
            await redis.hset(docket.runs_key(execution.key), "worker", "winner")
            await ended.wait()
            before = await redis.hgetall(docket.runs_key(execution.key))
    async with docket.redis() as redis:
        assert await redis.hgetall(docket.runs_key(execution.key)) == before
        assert before[b"state"] == b"running"
        [pending] = await redis.xpending_range(docket.stream_key, GROUP, "-", "+", 10)
        assert pending["consumer"] == b"winner"
        assert await redis.xlen(docket.stream_key) == 1
    assert any("was lost: another worker has it" in message for message in caplog.messages)


@virtual_time
async def test_renewals_keep_the_lease_and_never_raise_the_delivery_count(docket: Docket) -> None:
    """I4."""
    begun, go_on = anyio.Event(), anyio.Event()

    async def long() -> None:
        begun.set()
        await go_on.wait()

    execution = await docket.add(long)()
    timeout = ms(1000)
    async with working(Worker(docket, "holds", redelivery_timeout=timeout)):
        await begun.wait()
        # Time must pass: three timeouts without a redelivery are what this test is about.
        await anyio.sleep(3 * timeout.total_seconds())
        async with docket.redis() as redis:
            [pending] = await redis.xpending_range(docket.stream_key, GROUP, "-", "+", 10)
        assert (pending["consumer"], pending["times_delivered"]) == (b"holds", 1)
        assert pending["time_since_delivered"] < timeout.total_seconds() * 1000
        go_on.set()
        await execution.get_result()


@virtual_time
async def test_a_worker_does_not_take_tasks_that_its_namesake_runs(
    docket: Docket,
) -> None:
    """Even deliveries of its own name are taken over only when nobody renews them."""
    runs: list[int] = []
    begun, go_on = anyio.Event(), anyio.Event()

    async def long() -> str:
        runs.append(1)
        begun.set()
        await go_on.wait()
        return "once"

    execution = await docket.add(long)()
    twins = [Worker(docket, "twin", redelivery_timeout=ms(1000)) for _ in range(2)]
    async with working(*twins):
        await begun.wait()
        await anyio.sleep(4)  # time must pass, as above
        go_on.set()
        assert await execution.get_result() == "once"
    assert runs == [1]


async def test_a_server_gives_nobody_else_what_is_renewed(redis_url: str) -> None:
    """As above, on a server, where a lease is as long as the machine needs for all that it has to do."""
    runs: list[int] = []

    async def long() -> None:
        runs.append(1)
        await anyio.sleep(2.5)

    async with Docket("renewed", redis_url) as docket:
        execution = await docket.add(long)()
        async with working(*[Worker(docket, name, redelivery_timeout=ms(1000)) for name in ("one", "two")]):
            await execution.get_result()
    assert runs == [1]


async def test_a_stalled_worker_does_not_remove_a_delivery_that_its_namesake_has_taken_over(
    docket: Docket,
) -> None:
    """I1, I2: fences distinguish claims, not names."""

    async def task() -> None: ...

    execution = await docket.add(task)()
    stalled = docket.store.claims("name")
    await stalled.create_group()
    [first] = await stalled.take(1)
    namesake = docket.store.claims("name")
    await anyio.sleep(0.005)
    [second] = await namesake.take_over([first.message_id], ms(1))
    await stalled.settle(first, Ended("failed", error="too late"))  # type: ignore[arg-type]
    await execution.sync()
    assert execution.state is ExecutionState.RUNNING
    async with docket.redis() as redis:
        assert await redis.xlen(docket.stream_key) == 1
    await namesake.settle(second, Ended("completed"))  # type: ignore[arg-type]
    await execution.sync()
    assert execution.state is ExecutionState.COMPLETED


async def test_a_body_whose_lease_cannot_be_renewed_in_time_is_stopped(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server hangs: whether the worker still holds the delivery is not known, so the body may not continue."""
    from tests.servers import Server

    with Server() as server:
        ended = anyio.Event()
        begun = anyio.Event()

        async def endless() -> None:
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()

        async with Docket("hangs", server.url) as docket:
            await docket.add(endless)()
            async with working(Worker(docket, "hung", redelivery_timeout=ms(300))):
                await begun.wait()
                server.pause()
                with anyio.fail_after(PATIENCE / 2):
                    await ended.wait()
                server.resume()
    assert any("could not be renewed in time" in message for message in caplog.messages)


@virtual_time
async def test_a_task_that_outlives_many_leases_completes(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    """With two workers that both look for abandoned deliveries."""

    async def long(number: int) -> int:
        await anyio.sleep(3)  # three timeouts: the lease must be renewed
        return number

    executions = [await docket.add(long)(number) for number in range(6)]
    workers = [Worker(docket, name, redelivery_timeout=ms(1000), concurrency=3) for name in ("one", "two")]
    with caplog.at_level(logging.WARNING):
        async with working(*workers):
            assert [await execution.get_result() for execution in executions] == list(range(6))
    assert not [message for message in caplog.messages if "lease of" in message]


async def test_a_claim_that_admission_deferred_is_not_logged_as_lost(
    docket: Docket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The lease is renewed after the server has ended the claim, and before its answer arrives."""
    go_on = anyio.Event()
    admit_each = Admissions.admit_each

    async def renewed_first(self: Admissions, *asked: Any) -> Any:
        verdicts = await admit_each(self, *asked)
        assert worker._session is not None
        leases = worker._session.leases
        await leases.renew(leases.claims, anyio.current_time)
        leases._stop_untrusted()
        if any(verdict is not None for verdict in verdicts):
            go_on.set()
        return verdicts

    async def task(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await go_on.wait()

    monkeypatch.setattr(Admissions, "admit_each", renewed_first)
    executions = [await docket.add(task)() for _ in range(2)]
    worker = Worker(docket, "worker")
    async with working(worker):
        for execution in executions:
            await execution.get_result()
    assert "lost" not in caplog.text
