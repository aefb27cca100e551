"""Redis is away, refuses or is back again; bugs are something else (I7)."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from redis.exceptions import AuthenticationError, OutOfMemoryError, ResponseError

from docket import Cancellation, Docket, ExecutionCancelled, Worker, clock
from docket.execution import ExecutionState
from docket.store import Claims, Delivery, DueTasks, Liveness
from docket.transport import Client
from docket.worker import drain
from tests.durations import ms
from tests.servers import Server, free_port
from tests.where import asyncio_and_trio
from tests.worker.conftest import at_most

pytestmark = [pytest.mark.anyio, pytest.mark.slow, asyncio_and_trio]


def quick(docket: Docket, **settings: Any) -> Worker:
    return Worker(docket, "worker", reconnection_delay=ms(50), **settings)


async def logged(caplog: pytest.LogCaptureFixture, pattern: str) -> None:
    """Wait for a log record, which notifies nobody."""
    while not any(re.search(pattern, message) for message in caplog.messages):
        await anyio.sleep(0.01)


@asynccontextmanager
async def at_work(worker: Worker) -> AsyncGenerator[None]:
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        yield
        worker.stop()


async def test_a_missing_server_is_tried_until_it_is_there_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def task() -> int:
        return 1

    server = Server(port=free_port())
    async with Docket("late", server.url) as docket:
        docket.register(task)
        async with at_work(quick(docket)):
            await logged(caplog, "unavailable")
            # Several attempts go by here, and they must share one line.
            await anyio.sleep(0.3)
            with server:
                execution = await docket.add(task)()
                assert await execution.get_result() == 1
                await logged(caplog, "is back after")
                assert len([m for m in caplog.messages if "unavailable" in m]) == 1
                assert len([m for m in caplog.messages if "is back after" in m]) == 1


async def test_bodies_go_on_while_redis_is_away_and_are_settled_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server has an append-only file, so it knows the claims after its restart."""
    begun, go_on = anyio.Event(), anyio.Event()

    async def long() -> str:
        begun.set()
        await go_on.wait()
        return "through it all"

    with Server("--appendonly", "yes", "--appendfsync", "always") as server:
        async with Docket("away", server.url) as docket:
            execution = await docket.add(long)()
            async with at_work(quick(docket)):
                await begun.wait()
                server.kill()
                await logged(caplog, "unavailable")
                go_on.set()
                await anyio.sleep(0.1)  # the settle fails meanwhile, and is tried again
                server.start()
                async with docket.redis() as redis:
                    assert await redis.xlen(docket.stream_key) in (0, 1)
                assert await execution.get_result() == "through it all"
                after = await docket.add(long)()
                assert await after.get_result() == "through it all"
    assert len([m for m in caplog.messages if "unavailable" in m]) == 1


async def test_work_continues_on_a_server_that_lost_everything(caplog: pytest.LogCaptureFixture) -> None:
    """Without the stream there is no group (NOGROUP): it is made again."""

    async def task() -> int:
        return 1

    with Server() as server:
        async with Docket("lost", server.url) as docket:
            docket.register(task)
            async with at_work(quick(docket)):
                assert await (await docket.add(task)()).get_result() == 1
                server.restart()
                execution = await docket.add(task)()
                assert await execution.get_result() == 1


async def test_work_continues_on_a_flushed_server(redis_url: str) -> None:
    async def task() -> int:
        return 1

    async with Docket("flushed", redis_url) as docket:
        async with at_work(quick(docket)):
            assert await (await docket.add(task)()).get_result() == 1
            async with docket.redis() as redis:
                await redis.flushall()
                await redis.script_flush()
            execution = await docket.add(task)()
            assert await execution.get_result() == 1


async def test_a_wrong_password_raises_and_is_not_tried_again() -> None:
    with Server("--requirepass", "secret") as server:
        url = server.url.replace("redis://", "redis://:wrong@")
        async with Docket("refused", url) as docket, at_most():
            with pytest.raises(AuthenticationError):
                await quick(docket).run_forever()
        async with at_most():
            with pytest.raises(AuthenticationError):
                await Worker.run("refused", url, tasks=[])


async def test_a_command_that_the_user_may_not_call_raises() -> None:
    with Server() as server:
        async with Docket("forbidden", server.url) as docket, at_most():
            async with docket.redis() as redis:
                await redis.execute_command("ACL", "SETUSER", "default", "-xgroup")
            with pytest.raises(ResponseError, match=r"NOPERM|no permissions"):
                await quick(docket).run_forever()


async def test_a_worker_that_may_not_ask_for_the_number_of_its_connection_works_and_ends(
    redis_url: str,
) -> None:
    async def task() -> int:
        return 1

    with Server() as server:
        async with Docket("restricted", server.url) as docket:
            async with docket.redis() as redis:
                await redis.execute_command("ACL", "SETUSER", "default", "-client")
            async with at_work(quick(docket)):
                assert await (await docket.add(task)()).get_result() == 1


async def test_a_server_that_refuses_writes_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def task() -> int:
        return 1

    with Server() as server:
        async with Docket("full", server.url) as docket:
            execution = await docket.add(task)()
            async with docket.redis() as redis:
                await redis.config_set("maxmemory", "1")
                async with at_work(quick(docket)):
                    await logged(caplog, "maxmemory")
                    await redis.config_set("maxmemory", "0")
                    assert await execution.get_result() == 1


async def test_a_full_server_shows_who_lives_and_lets_operators_act(caplog: pytest.LogCaptureFixture) -> None:
    begun = anyio.Event()

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    async def quick_one() -> None: ...

    with Server() as server:
        async with Docket("full", server.url, heartbeat_interval=ms(50), missed_heartbeats=4) as docket:
            runs, later = await docket.add(endless, key="runs")(), clock.now() + ms(3_600_000)
            await docket.add(quick_one, later, key="waits")()
            async with docket.redis() as redis, at_work(quick(docket, schedule_automatic_tasks=False)):
                await begun.wait()
                (worker,) = await docket.workers()
                await redis.config_set("maxmemory", "1")
                await logged(caplog, "refuses writes, since its memory is full")
                expired = worker.last_seen + 2 * docket.heartbeat_interval * docket.missed_heartbeats
                while worker.last_seen < expired:  # heartbeats tell nobody
                    await anyio.sleep(0.02)
                    (worker,) = await docket.workers()
                assert worker.tasks >= {"endless", "quick_one"}
                running = await docket.get_execution("runs")
                assert running is not None
                assert not running.worker_is_gone
                assert await docket.pause("quick_one")
                await docket.strike("endless")
                assert await docket.cancel("waits") is Cancellation.CANCELLED
                assert await docket.cancel("runs") is Cancellation.REQUESTED
                with pytest.raises(ExecutionCancelled):
                    await runs.get_result()
                with pytest.raises(OutOfMemoryError):
                    await docket.add(quick_one)()
                await redis.config_set("maxmemory", "0")
                await logged(caplog, "is back")
                after = await docket.add(quick_one)()
                assert await docket.resume("quick_one") >= 0
                await after.get_result()
    lines = [line for line in caplog.messages if "Redis at" in line]
    assert len(lines) == 2, lines


async def test_shutting_down_during_an_outage_ends_in_bounded_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "CLOSING", 0.2)
    begun = anyio.Event()

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    with Server() as server:
        async with Docket("gone", server.url) as docket:
            await docket.add(endless)()
            worker = quick(docket, shutdown_timeout=ms(100))
            async with at_most(10):
                async with anyio.create_task_group() as group:
                    group.start_soon(worker.run_forever)
                    await begun.wait()
                    server.kill()
                    await logged(caplog, "unavailable")
                    worker.stop()


@pytest.mark.parametrize("where", ["reader", "scheduler"])
async def test_a_bug_in_a_loop_crashes_the_worker_with_its_traceback(
    docket: Docket, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """I7. Everything is torn down, running tasks included."""
    begun, closed = anyio.Event(), anyio.Event()

    async def broken(*args: Any, **kwargs: Any) -> Any:
        if where == "reader":
            await begun.wait()
        raise ZeroDivisionError("a bug")

    async def quick_task() -> None: ...

    async def endless() -> None:
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            closed.set()

    patched = {
        "reader": (Claims, "wait_for_tasks"),
        "scheduler": (DueTasks, "move"),
    }
    monkeypatch.setattr(*patched[where], broken)
    await docket.add(endless)()
    await docket.add(quick_task)()
    async with at_most():
        with pytest.raises(ZeroDivisionError, match="a bug") as caught:
            await Worker(docket).run_forever()
    assert "broken" in {entry.name for entry in caught.traceback}
    assert where == "scheduler" or closed.is_set()
    execution = await docket.get_execution("nothing")
    assert execution is None
    assert not await docket.workers()


@pytest.mark.parametrize("where", ["intake", "upkeep"])
async def test_tasks_that_run_at_a_crash_are_handed_back_at_once_and_that_counts_as_no_delivery(
    docket: Docket, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """I7. With a lease of five minutes, and one delivery allowed."""
    begun = anyio.Event()
    begins = 0

    async def broken(*args: Any, **kwargs: Any) -> Any:
        await begun.wait()
        raise ZeroDivisionError("a bug")

    async def innocent() -> int:
        nonlocal begins
        begins += 1
        begun.set()
        if begins == 1:
            await anyio.sleep_forever()
        return begins

    execution = await docket.add(innocent)()
    with monkeypatch.context() as patch:
        patch.setattr(*{"intake": (DueTasks, "move"), "upkeep": (Liveness, "beat")}[where], broken)
        async with at_most():
            with pytest.raises(ZeroDivisionError, match="a bug"):
                await Worker(docket, "crashes", max_deliveries=1).run_forever()
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED
    async with at_most():
        await Worker(docket, "next", max_deliveries=1).run_until_finished()
    assert await execution.get_result() == 2


async def test_a_bug_in_the_settling_of_one_task_sets_it_aside_and_the_worker_continues(
    docket: Docket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """I9."""
    kept_for = Claims.kept_for

    def broken(self: Claims, delivery: Delivery) -> Any:
        if delivery.message.function == "culprit":
            raise ZeroDivisionError("a bug")
        return kept_for(self, delivery)

    async def culprit() -> None: ...

    async def innocent() -> int:
        return 1

    monkeypatch.setattr(Claims, "kept_for", broken)
    bad, good = await docket.add(culprit)(), await docket.add(innocent)()
    async with at_most():
        await Worker(docket).run_until_finished()
        assert await good.get_result() == 1
    await bad.sync()
    assert bad.state is ExecutionState.FAILED
    assert bad.error == "DeliveryUnreadable: how it ended cannot be written: ZeroDivisionError: a bug"
    (said,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert said.getMessage() == f"Could not write how culprit(){{{bad.key}}} ended; it is set aside"
    assert said.exc_info
    assert isinstance(said.exc_info[1], ZeroDivisionError)
    [(_, fields)] = await docket.client.xrange(docket.keys.dead)
    assert b"ZeroDivisionError" in fields[b"dead:reason"]


# The cost of waiting -----------------------------------------------------------------------------------------


async def test_an_idle_worker_makes_at_most_five_calls_a_second() -> None:
    async def task() -> None: ...

    with Server() as server:
        async with Docket("idle", server.url) as docket:
            docket.register(task)
            async with at_work(Worker(docket, "idle")):
                async with Client.from_url(server.url) as observer:

                    async def commands() -> int:
                        return (await observer.info("stats"))["total_commands_processed"]

                    while not await docket.workers():
                        await anyio.sleep(0.05)
                    before, now = 0, await commands()
                    while now > before + 1:  # it does what it begins with
                        before = now
                        await anyio.sleep(0.2)
                        now = await commands()
                    before = now
                    await anyio.sleep(2.5)  # measures a rate
                    after = await commands()
    assert (after - before) / 2.5 <= 5


async def test_an_idle_worker_on_memory_takes_no_processor_time(memory_url: str) -> None:
    """I10: nothing polls."""
    async with Docket("idle", memory_url) as docket:
        async with at_work(Worker(docket, "idle")):
            while not await docket.workers():
                await anyio.sleep(0.01)
            await anyio.wait_all_tasks_blocked()
            steps = 0
            original = docket.client.request

            async def counted(*args: Any, **kwargs: Any) -> Any:
                nonlocal steps
                steps += 1
                return await original(*args, **kwargs)

            docket.client.request = counted  # type: ignore[method-assign]
            await anyio.sleep(1)  # nothing may happen in this time
            assert steps == 0
