"""Nothing is kept of what is over, and long structures stay quick."""

from __future__ import annotations

import gc
import time
import tracemalloc
import weakref
from typing import Any

import pytest

from docket import memory
from docket.memory.ordered import CHUNK, Sorted
from tests.memory.resp import MemoryClient

pytestmark = pytest.mark.slow


def cycle(client: MemoryClient, number: int) -> None:
    """What one task leaves on the server, and takes away again."""
    client.call("EVAL", "return redis.call('HSET', KEYS[1], 'state', ARGV[1])", 1, f"runs:{number}", "queued")
    client.call("XADD", "s", "*", "key", number)
    reply = client.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "s", ">")
    client.call("XACK", "s", "g", reply[0][1][0][0])
    client.call("XDEL", "s", reply[0][1][0][0])
    client.call("PEXPIRE", f"runs:{number}", 1_000_000)
    client.call("SET", "lease", number, "PX", 10_000)
    client.call("PUBLISH", f"state:{number}", "done")
    client.call("WATCH", f"runs:{number}")
    client.call("UNWATCH")
    client.call("BLPOP", "none", "0.000001") if number % 500 == 0 else None
    client.call("DEL", f"runs:{number}")


def test_many_cycles_leave_nothing_behind(memory_url: str) -> None:
    client = MemoryClient(memory_url)
    client.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    for number in range(300):
        cycle(client, number)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for number in range(1000):
        cycle(client, number)
    gc.collect()
    grown = sum(line.size_diff for line in tracemalloc.take_snapshot().compare_to(before, "filename"))
    tracemalloc.stop()
    assert client.call("DBSIZE") == 2
    client.close()
    assert grown < 50_000, f"{grown} bytes more after 1,000 cycles"


@pytest.mark.chaos
def test_a_hundred_thousand_cycles_leave_nothing_behind(memory_url: str) -> None:
    client = MemoryClient(memory_url)
    client.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for number in range(100_000):
        cycle(client, number)
    gc.collect()
    grown = sum(line.size_diff for line in tracemalloc.take_snapshot().compare_to(before, "filename"))
    tracemalloc.stop()
    client.close()
    assert grown < 1_000_000, f"{grown} bytes more after 100,000 cycles"


def test_a_server_is_freed_with_its_last_stream_scripts_included(memory_url: str) -> None:
    client = MemoryClient(memory_url)
    client.call("EVAL", "return redis.call('SET', 'k', 'v')", 0)
    holding = memory.hold(memory_url)
    server = weakref.ref(holding.server)
    holding.close()
    client.close()
    del holding, client
    gc.collect()
    assert server() is None


@pytest.mark.parametrize("command", ["XDEL", "XACK", "XTRIM"])
def test_a_long_stream_is_drained_from_the_front_in_linear_time(memory_url: str, command: str) -> None:
    def drain(count: int) -> float:
        client = MemoryClient(f"{memory_url}-{count}")
        client.call("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
        client.call(
            "EVAL",
            "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', 's', i .. '-0', 'a', 'b') end",
            0,
            count,
        )
        client.call("EVAL", "redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', '>')", 0)
        began = time.perf_counter()
        for number in range(1, count + 1):
            if command == "XTRIM":
                client.call("XTRIM", "s", "MINID", f"{number + 1}-0")
            else:
                client.call(command, "s", *(["g"] if command == "XACK" else []), f"{number}-0")
        took = time.perf_counter() - began
        left = client.call("XPENDING", "s", "g")[0] if command == "XACK" else client.call("XLEN", "s")
        assert left == 0
        client.close()
        return took

    drain(500)
    assert drain(20_000) < 40 * drain(2_000)  # 100 times as long if it were quadratic


def test_the_sorted_sequence_agrees_with_a_sorted_list() -> None:
    import random

    dice = random.Random(7)
    numbers, plain = Sorted[int](), list[int]()
    for _ in range(6 * CHUNK):
        number = dice.randrange(10**6)
        if number not in plain:
            numbers.add(number)
            plain.append(number)
    plain.sort()

    def agree() -> None:
        assert len(numbers) == len(plain)
        assert list(numbers.upward(0)) == plain
        low, high = sorted(dice.randrange(10**6) for _ in range(2))
        inside = [number for number in plain if low <= number <= high]
        assert list(numbers.upward(low, high)) == inside
        assert list(numbers.downward(high, low)) == inside[::-1]
        start, stop = sorted(dice.randrange(len(plain) + 1) for _ in range(2))
        assert numbers.between(start, stop) == plain[start:stop]
        assert numbers.rank(low) == sum(number < low for number in plain)
        if plain:
            assert (numbers.first, numbers.last) == (plain[0], plain[-1])

    agree()
    while plain:
        for _ in range(min(len(plain), 300)):
            numbers.remove(plain.pop(dice.choice([0, 0, -1, dice.randrange(len(plain))])))
        agree()


def test_a_scan_returns_what_is_there_all_the_time(memory_url: str) -> None:
    client = MemoryClient(memory_url)
    for number in range(500):
        client.call("SET", f"stays:{number}", "v")
        client.call("SET", f"goes:{number}", "v")
    seen: set[bytes] = set()
    cursor: Any = b"0"
    for step in range(10_000):
        cursor, page = client.call("SCAN", cursor, "COUNT", 7)
        seen |= set(page)
        client.call("DEL", f"goes:{step}")
        client.call("SET", f"comes:{step}", "v")
        if cursor == b"0":
            break
    assert cursor == b"0"
    assert {key for key in seen if key.startswith(b"stays")} == {
        b"stays:%d" % number for number in range(500)
    }
    client.close()
