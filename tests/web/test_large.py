"""A docket with very much on it: no page reads all of that."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import Any

import pytest

from docket import Docket, Perpetual, clock
from docket.store import dump
from docket.web import Dashboard, anybody
from tests.web.caller import Caller
from tests.where import one_loop, slow

pytestmark = [pytest.mark.anyio, one_loop, slow]

#: So many are due, and so many are for later. ``DOCKET_TEST_LARGE=500000`` makes a million.
MANY = int(os.environ.get("DOCKET_TEST_LARGE", "50000"))

FILL = """
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local fields = {'key', 'k' .. n, 'when', ARGV[3], 'function', 'paint', 'args', ARGV[4], 'kwargs', ARGV[5],
    'attempt', '1', 'generation', '1'}
  if ARGV[6] == 'due' then
    redis.call('XADD', 'orders:stream', '*', unpack(fields))
  else
    redis.call('ZADD', 'orders:queue', tonumber(ARGV[7]) + n, 'k' .. n)
    redis.call('HSET', 'orders:k' .. n, unpack(fields))
  end
end
"""

#: The most commands that a page may take, its navigation included. (A look through 10,000 of the queue asks each of
#: them for its task: that is the 10,000 of the last ones, in ten round trips. That for schedules ends at 1,000.)
BOUNDS = {
    "": 90,
    "work": 60,
    "work?state=later": 160,
    "work?state=due&task=nobody": 100,
    "work?state=due&contains=k4711": 100,
    "work?state=later&task=nobody": 10_100,
    "work?state=running": 60,
    "workers": 60,
    "tasks": 60,
    "schedules": 1_200,
    "failures": 60,
    "limits": 40,
    "pauses": 40,
    "dead": 40,
    "run?key=k7": 60,
    "task?name=paint": 60,
}


async def nightly(again: Perpetual = Perpetual(every=timedelta(days=1))) -> None: ...


async def filled(docket: Docket) -> None:
    empty = dump(()), dump({})
    at = clock.now() + timedelta(days=1)
    async with docket.redis() as redis:
        for state, when in ("due", clock.now()), ("later", at):
            for first in range(0, MANY, 10_000):
                words: list[Any] = [first, first + 9_999, when.isoformat(), *empty, state, at.timestamp()]
                await redis.call("EVAL", FILL, 0, *words)
        await redis.call("XGROUP", "CREATE", "orders:stream", "docket-workers", "0")


async def test_no_page_reads_all_of_a_large_docket(redis_url: str) -> None:
    async with Docket("orders", redis_url) as docket:
        docket.register(nightly)
        await filled(docket)
        over: list[str] = []
        for path, most in BOUNDS.items():
            web = Caller(Dashboard(docket, authorize=anybody))  # a new one has read nothing
            async with docket.redis() as redis:
                await redis.call("CONFIG", "RESETSTAT")
                answer = await web.get(path)
                stats = await redis.info("commandstats")
            assert answer.status in (200, 404), path
            ours = [each for name, each in stats.items() if not re.match("cmdstat_(config|info)", name)]
            calls = sum(each["calls"] for each in ours)
            slowest = max(each["usec_per_call"] for each in ours)
            print(f"{path or 'overview'}: {calls} commands, the slowest {slowest:.0f} us")
            if calls > most:
                over.append(f"{path}: {calls} commands, {sorted((n, e['calls']) for n, e in stats.items())}")
            assert slowest < 10_000, (path, stats)
            await web.app.aclose()
        assert not over, "\n".join(over)
