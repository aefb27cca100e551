"""What a connection needs of its event loop."""

from __future__ import annotations

import asyncio
import socket

import anyio
import pytest

from docket.transport.connection import Connection
from docket.transport.sockets import SocketStream
from docket.transport.waiting import current_backend
from tests.where import on_asyncio

pytestmark = pytest.mark.anyio


@on_asyncio  # on trio each wait has a deadline of its own, and no timer
@pytest.mark.parametrize("soon", [0.0, 0.0001, 0.02])
async def test_a_timer_that_is_due_very_soon_may_be_armed_again(soon: float) -> None:
    fired = anyio.Event()

    def check() -> float:
        fired.set()
        return float("inf")

    timer = current_backend().timer(check)
    assert timer is not None
    timer.arm(soon)
    timer.arm(3600)
    with anyio.fail_after(10):
        await fired.wait()
    timer.arm(3600)
    timer.arm(soon)
    fired = anyio.Event()
    with anyio.fail_after(10):
        await fired.wait()
    timer.disarm()


@on_asyncio
async def test_a_lone_caller_goes_on_in_the_turn_of_the_loop_that_brings_its_reply() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    connection, turns, seen = Connection(SocketStream(ours), current_backend()), 0, list[tuple[bytes, int]]()

    def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            theirs.send(b"+PONG\r\n")
        if turns < 10:
            loop.call_soon(turn)

    loop.call_soon(turn)
    seen.append((await connection.call("PING"), turns))
    assert seen[0] == (b"PONG", 4 if type(loop).__module__.startswith("asyncio") else seen[0][1])
    connection.fail(ConnectionError("over"))
    theirs.close()


@on_asyncio
@pytest.mark.parametrize("first", ["reply", "cancel"])
async def test_who_is_cancelled_as_its_reply_comes_leaves_the_connection_to_others(first: str) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    connection = Connection(SocketStream(ours), current_backend())
    waiting = asyncio.ensure_future(connection.call("PING"))
    await asyncio.sleep(0)
    steps = [lambda: theirs.send(b"+PONG\r\n"), connection.read_now, waiting.cancel]
    for step in steps if first == "reply" else reversed(steps):
        step()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    theirs.send(b"+again\r\n")
    assert await connection.call("PING") == b"again"
    connection.fail(ConnectionError("over"))
    theirs.close()
