"""A server that has lost a claim, as a replica that took over before it had heard of it."""

from __future__ import annotations

import anyio
import pytest

from docket import Docket, Worker
from docket.transport import Client
from tests.topologies.scenes import plain

pytestmark = pytest.mark.anyio


async def forget_claims(redis: Client, name: str, key: str) -> None:
    """Leave what a replica has that knows of the task, and of nothing that its worker has done."""
    [(message_id, _)] = await redis.xrange(f"{name}:stream")
    async with redis.pipeline() as pipe:  # in one step, lest it is taken in between
        pipe.xack(f"{name}:stream", "docket-workers", message_id)
        pipe.xgroup_setid(f"{name}:stream", "docket-workers", "0")
        pipe.hset(f"{name}:runs:{key}", "state", "queued")
        pipe.hdel(f"{name}:runs:{key}", "claim", "worker", "started_at")
        await pipe.execute()


async def test_what_a_worker_runs_already_and_is_given_again_goes_on_and_runs_once(redis_url: str) -> None:
    began, go_on = 0, anyio.Event()
    begun = anyio.Event()

    async def long() -> str:
        nonlocal began
        began += 1
        begun.set()
        await go_on.wait()
        return "done"

    async with Docket("lost", redis_url) as docket:
        docket.register(long)
        docket.register(plain)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                worker = Worker(docket, "w")
                group.start_soon(worker.run_forever)
                execution = await docket.add(long, key="long")()
                await begun.wait()
                async with docket.redis() as redis:
                    await forget_claims(redis, "lost", "long")
                # Behind it on the stream: when this has run, the worker has been given the other one again.
                assert await (await docket.add(plain)(1)).get_result() == 1
                go_on.set()
                assert await execution.get_result() == "done"
                worker.stop()
        async with docket.redis() as redis:
            assert await redis.xlen("lost:stream") == 0
    assert began == 1
