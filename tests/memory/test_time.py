"""Time as the server in this process sees it: the clock of whoever drives the loop."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from docket.memory.server import Server
from tests.memory.test_stream import Peer

DAY = 86_400


virtual = pytest.mark.loops("virtual-trio")


@virtual
@pytest.mark.anyio
async def test_a_block_of_a_day_passes_at_once_on_a_virtual_clock(memory_url: str) -> None:
    peer = Peer(memory_url)
    began, virtual = time.process_time(), trio.current_time()
    assert await peer.call("XREAD", "BLOCK", DAY * 1000, "STREAMS", "s", "$") is None
    assert trio.current_time() - virtual == pytest.approx(DAY)
    assert time.process_time() - began < 1
    peer.stream.close()


@virtual
@pytest.mark.anyio
async def test_expiry_and_stream_ids_follow_the_virtual_clock(memory_url: str) -> None:
    peer = Peer(memory_url)
    await peer.call("SET", "k", "v", "EX", DAY)
    first = await peer.call("XADD", "s", "*", "f", "v")
    await anyio.sleep(DAY - 10)
    assert await peer.call("TTL", "k") == 10
    await anyio.sleep(11)
    assert await peer.call("GET", "k") is None
    second = await peer.call("XADD", "s", "*", "f", "v")
    assert int(second.split(b"-")[0]) - int(first.split(b"-")[0]) == pytest.approx((DAY + 1) * 1000, abs=50)
    assert await peer.call("XGROUP", "CREATE", "s", "g", "0") is not None
    await peer.call("XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", ">")
    await anyio.sleep(60)
    claimed = await peer.call("XAUTOCLAIM", "s", "g", "b", 59_000, "0-0", "JUSTID")
    assert claimed[1] == [first, second]
    peer.stream.close()


@virtual
@pytest.mark.anyio
async def test_an_entry_ends_a_long_block_before_the_clock_jumps_past_it(memory_url: str) -> None:
    reader, writer = Peer(memory_url), Peer(memory_url)

    async def write() -> None:
        await anyio.sleep(3600)
        await writer.call("RPUSH", "l", "x")

    began = trio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        assert await reader.call("BLPOP", "l", DAY) == [b"l", b"x"]
    assert trio.current_time() - began == pytest.approx(3600)
    reader.stream.close()
    writer.stream.close()


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def run(server: Server, *words: Any) -> Any:
    session = server.connect(lambda: None)
    reply = server.execute(session, [str(word).encode() for word in words])
    server.disconnect(session)
    return reply


def test_ids_never_run_backwards_when_clocks_disagree() -> None:
    clock = Hands()
    server = Server(clock)
    first = run(server, "XADD", "s", "*", "f", "v")
    clock.now -= 500
    second = run(server, "XADD", "s", "*", "f", "v")
    assert [first, second] == [b"1000000000-0", b"1000000000-1"]
    assert run(server, "TIME") == [b"1000000", b"0"]


def test_time_stands_still_during_a_script_and_a_transaction() -> None:
    clock = Hands()
    ticking = lambda: setattr(clock, "now", clock.now + 1) or clock.now  # noqa: E731 - every look costs a second
    server = Server(ticking)
    session = server.connect(lambda: None)
    script = b"""
      local now = redis.call('TIME')[1]
      for i = 1, 5 do redis.call('XADD', 's', '*', 'a', 'b') end
      return now == redis.call('TIME')[1]
    """
    assert server.execute(session, [b"EVAL", script, b"0"]) == 1
    assert (
        len({record[0].split(b"-")[0] for record in server.execute(session, [b"XRANGE", b"s", b"-", b"+"])})
        == 1
    )
    for words in ([b"MULTI"], [b"TIME"], [b"TIME"]):
        server.execute(session, words)
    first, second = server.execute(session, [b"EXEC"])
    assert first == second


def test_expired_keys_go_with_the_next_command_whatever_it_is() -> None:
    clock = Hands()
    server = Server(clock)
    for number in range(100):
        run(server, "SET", f"k{number}", "v", "EX", number + 1)
    clock.now += 50
    assert run(server, "DBSIZE") == 50
    clock.now += 50
    assert run(server, "DBSIZE") == 0


def test_a_server_is_used_by_one_thread_at_a_time(memory_url: str) -> None:
    """A script that another thread could interrupt would lose increments."""
    script = (
        "local n = tonumber(redis.call('GET', KEYS[1]) or '0') redis.call('SET', KEYS[1], n + 1) return n"
    )

    def work() -> None:
        peer = Peer(memory_url)
        for _ in range(500):
            peer.send("EVAL", script, 1, "n")
            assert peer.stream.try_receive()
        peer.stream.close()

    keeper = Peer(memory_url)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keeper.send("GET", "n")
    assert keeper.stream.try_receive() == b"$4\r\n2000\r\n"
    keeper.stream.close()
