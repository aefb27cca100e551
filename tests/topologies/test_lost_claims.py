"""A server that has lost a claim, as a replica that took over before it had heard of it."""

from __future__ import annotations

from datetime import timedelta

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


async def all_of(redis: Client, name: str) -> dict[bytes, bytes]:
    """All that a docket has, with its group and its leases."""
    return {key: await redis.dump(key) for key in await redis.keys(f"{name}:*")}


async def go_back_to(redis: Client, name: str, before: dict[bytes, bytes]) -> None:
    """Leave what was there ``before``, as a replica that had heard of no more."""
    now = await redis.keys(f"{name}:*")
    async with redis.pipeline() as pipe:
        pipe.delete(*now)
        for key, dumped in before.items():
            pipe.restore(key, 0, dumped)
        await pipe.execute()


@pytest.mark.parametrize("lost", ["its claim", "its end"])
async def test_a_run_that_has_ended_unknown_to_the_new_master_runs_once_more(
    redis_url: str, lost: str
) -> None:
    """Its end leaves with a take by the new master; or it was written to the old one, and its lease goes on."""
    began = 0
    async with Docket("lost", redis_url) as docket, docket.redis() as redis:
        worker = Worker(docket, "w", 1, redelivery_timeout=timedelta(milliseconds=400))

        async def short() -> int:
            nonlocal began, before
            began += 1
            if began == 1 and lost == "its claim":
                await go_back_to(redis, "lost", before)
            elif began == 1:
                before = await all_of(redis, "lost")
            return began

        await docket.store.claims("w").create_group()
        execution = await docket.add(short)()
        before = await all_of(redis, "lost")
        with anyio.fail_after(20):
            await worker.run_until_finished()
            if lost == "its end":
                assert await execution.get_result() == 1
                await go_back_to(redis, "lost", before)
                await worker.run_until_finished()
        assert await execution.get_result() == began == 2
        assert await redis.xlen("lost:stream") == 0
