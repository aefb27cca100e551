"""Whether a worker lives and is ready: asked from other threads, as its HTTP server does, and from its own loop."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import anyio
import anyio.to_thread
import pytest

from docket import Docket, Worker
from docket.worker.upkeep import health
from tests.durations import ms
from tests.servers import Server
from tests.where import asyncio_and_trio
from tests.worker.conftest import PATIENCE, at_most, working

pytestmark = [pytest.mark.anyio, asyncio_and_trio]


async def readiness(worker: Worker) -> list[str]:
    """As another thread sees it."""
    return await anyio.to_thread.run_sync(worker.readiness)


async def ready(worker: Worker) -> None:
    with anyio.fail_after(PATIENCE):
        while await readiness(worker):
            await anyio.sleep(0.01)


async def test_a_worker_is_ready_from_its_first_answer_until_it_stops(docket: Docket) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def task() -> None:
        begun.set()
        await go_on.wait()

    worker = Worker(docket)
    assert await readiness(worker) == ["the worker does not run"]
    await docket.add(task)()
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await begun.wait()
        await ready(worker)
        assert worker.readiness() == []  # in its own loop, which cannot wait for itself
        assert worker.liveness() == []
        worker.stop()
        assert await readiness(worker) == ["the worker is stopping"]
        assert await anyio.to_thread.run_sync(worker.liveness) == []
        go_on.set()
    assert await readiness(worker) == ["the worker does not run"]


@pytest.mark.parametrize("how", ["gone", "silent"])
async def test_it_is_not_ready_while_redis_is_away(how: str) -> None:
    with Server() as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        async with Docket("health", url, heartbeat_interval=ms(50), missed_heartbeats=4) as docket:
            worker = Worker(docket, reconnection_delay=ms(50))
            async with working(worker):
                await ready(worker)
                if how == "gone":
                    server.kill()
                else:
                    server.pause()
                while not (reasons := await readiness(worker)):
                    await anyio.sleep(0.01)
                says = "has been unavailable for" if how == "gone" else "has not answered for"
                assert len(reasons) == 1
                assert reasons[0].startswith(f"Redis {says}")
                assert worker.liveness() == []  # a restart would not help
                if how == "gone":
                    server.restart()
                else:
                    server.resume()
                await ready(worker)


async def test_it_is_not_ready_while_leases_are_not_renewed(redis_url: str) -> None:
    begun = anyio.Event()

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    async with Docket("unrenewed", redis_url) as docket:
        worker = Worker(docket, redelivery_timeout=timedelta(minutes=1))
        await docket.add(endless)()
        async with working(worker):
            await begun.wait()
            await ready(worker)
            assert worker._session is not None  # pyright: ignore[reportPrivateUsage]
            [running] = worker._session.roster  # pyright: ignore[reportPrivateUsage]
            running.trusted_until -= 40  # as if two renewals had not come
            assert await readiness(worker) == ["the leases of 1 tasks have not been renewed in time"]


async def test_a_blocked_loop_is_not_ready_and_one_that_stays_blocked_is_not_alive(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LIVE_SECONDS", 0.8)
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.1)
    begun, may_block = anyio.Event(), anyio.Event()
    seen: dict[str, list[str]] = {}
    looks, blocks, seen_all = threading.Event(), threading.Event(), threading.Event()

    async def block() -> None:
        begun.set()
        await may_block.wait()
        blocks.set()
        seen_all.wait(PATIENCE)

    def look() -> None:
        looks.set()
        blocks.wait(PATIENCE)
        for name, pause, ask in (
            ("ready", 0.2, worker.readiness), ("live", 0.1, worker.liveness), ("hangs", 0.7, worker.liveness),
        ):  # fmt: skip
            time.sleep(pause)
            seen[name] = ask()
        seen_all.set()

    worker = Worker(docket)
    execution = await docket.add(block)()
    async with working(worker), anyio.create_task_group() as group:
        await begun.wait()
        await ready(worker)
        group.start_soon(anyio.to_thread.run_sync, look)
        while not looks.is_set():
            await anyio.sleep(0.01)
        may_block.set()
        await execution.get_result(timeout=timedelta(seconds=PATIENCE))
        await ready(worker)
    assert seen["ready"][0].startswith("the event loop has not answered for")
    assert seen["live"] == []
    assert seen["hangs"][0].startswith("the event loop has not answered for")
