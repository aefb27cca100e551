"""A loop that cannot tell when a socket is ready, as Windows' usual one: a thread for each connection waits."""

from __future__ import annotations

import socket
import threading
import warnings
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from docket import Docket, Worker
from docket.transport import Client
from docket.transport.threaded import ThreadedStream
from docket.transport.waiting import current_backend
from tests.servers import Server
from tests.transport.stress import LoopWithoutReaders

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        "anyio_backend", [("asyncio", {"loop_factory": LoopWithoutReaders})], ids=["no-readers"]
    ),
]


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "docket socket"]


def connected() -> tuple[ThreadedStream, socket.socket]:
    """A stream and the socket at its other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ThreadedStream(ours, current_backend()), theirs


async def test_a_worker_runs_tasks_there(server: Server) -> None:
    done = list[int]()

    async def note(n: int) -> None:
        done.append(n)

    async with Docket("threaded", server.url) as docket:
        for n in range(20):
            await docket.add(note)(n)
        async with Worker(docket) as worker:
            await worker.run_until_finished()
    assert sorted(done) == list(range(20))
    assert threads() == []


async def test_a_caller_that_was_cancelled_takes_nothing_from_the_next(server: Server) -> None:
    async with Client.from_url(server.url) as client:
        for n in range(100):
            with anyio.move_on_after(n / 1e5):
                await client.call("ECHO", b"cut off")
            assert await client.call("ECHO", b"%d" % n) == b"%d" % n


async def waiter(wait: Callable[[], Any], done: anyio.Event) -> None:
    await wait()
    done.set()


@pytest.mark.parametrize("end", ["wake", "close", "abandon"])
async def test_whoever_waits_goes_on_when_the_stream_is_woken_or_closed(end: str) -> None:
    stream, theirs = connected()
    with theirs, anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.wait_readable)
            await anyio.wait_all_tasks_blocked()
            getattr(stream, end)()
        stream.close()
        await stream.wait_readable()  # of what is closed nobody waits
        assert theirs.recv(1) == b""
    assert threads() == []


async def test_both_directions_are_waited_for_at_the_same_time() -> None:
    stream, theirs = connected()
    readable, writable = anyio.Event(), anyio.Event()
    with anyio.fail_after(30):
        while stream.try_send(bytes(65536)):
            pass
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter, stream.wait_readable, readable)
            tasks.start_soon(waiter, stream.wait_writable, writable)
            await anyio.wait_all_tasks_blocked()
            assert not readable.is_set()
            assert not writable.is_set()
            theirs.send(b"x")
            await readable.wait()
            assert not writable.is_set()
            while not writable.is_set():
                try:
                    theirs.recv(65536)
                except BlockingIOError:
                    await anyio.lowlevel.checkpoint()
    assert stream.try_receive() == b"x"
    stream.close()
    theirs.close()


async def test_the_thread_of_a_stream_that_nobody_closed_ends_with_it() -> None:
    stream, theirs = connected()
    theirs.send(b"x")
    await stream.wait_readable()
    (thread,) = threads()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del stream
        thread.join(30)
    assert not thread.is_alive()
    theirs.close()
