"""Locks on the server."""

from __future__ import annotations

import anyio
import pytest
from redis.exceptions import LockError, LockNotOwnedError

from docket.transport import Client

pytestmark = pytest.mark.anyio


async def test_one_holds_the_lock_at_a_time(client: Client) -> None:
    inside = 0

    async def one() -> None:
        nonlocal inside
        async with client.lock("lock", timeout=10, sleep=0.001):
            inside += 1
            assert inside == 1
            await client.ping()
            inside -= 1

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(one)
    assert not await client.lock("lock").locked()


async def test_a_lock_that_is_held_is_not_waited_for_if_not_wanted(client: Client) -> None:
    async with client.lock("lock"):
        other = client.lock("lock", blocking=False)
        assert await other.acquire() is False
        assert await other.locked()
        assert not await other.owned()
        with pytest.raises(LockError):
            async with client.lock("lock", sleep=0.01, blocking_timeout=0.02):
                pass


async def test_an_expired_lock_is_not_released_for_its_next_holder(client: Client) -> None:
    lock = client.lock("lock", timeout=10)
    await lock.acquire()
    await client.set("lock", "somebody else")
    with pytest.raises(LockNotOwnedError):
        await lock.release()
    assert await client.get("lock") == b"somebody else"
    with pytest.raises(LockError):
        await lock.release()


async def test_a_lock_can_be_extended(client: Client) -> None:
    lock = client.lock("lock", timeout=10)
    await lock.acquire()
    assert await lock.owned()
    await lock.extend(10)
    assert 15 < await client.ttl("lock") <= 20
    await lock.extend(5, replace_ttl=True)
    assert await client.ttl("lock") <= 5
    await lock.reacquire()
    assert await client.ttl("lock") > 5
    await lock.release()


async def test_a_cancelled_holder_frees_the_lock(client: Client) -> None:
    with anyio.CancelScope() as scope:
        async with client.lock("lock"):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert not await client.lock("lock").locked()
