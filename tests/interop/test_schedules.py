"""Chains of runs that both implementations work on."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.where import asyncio_and_trio

from .table import Table

pytestmark = [pytest.mark.anyio, asyncio_and_trio]


async def test_a_line_of_cron_runs_once_for_each_of_its_times_whoever_runs_it(
    table: Table, anyio_backend_name: str
) -> None:
    """Hands the chain over and back. On each loop the other side begins: a time takes a second."""
    first, second = ("ours", "pydocket") if anyio_backend_name == "asyncio" else ("pydocket", "ours")
    await table.side(first).add("chime", key="chime")
    for turn, side in enumerate([first, second, first]):
        await table.side(side).start_worker(f"turn-{turn}")
        await table.ticks(f"turn-{turn}", 1)
        await table.reaches("chime", "scheduled")
        await table.side(side).stop_worker(f"turn-{turn}")
    await table.side(second).cancel("chime")
    times = [
        datetime.fromisoformat(text.decode()) for text in table.redis.lrange(f"chimes:{table.name}", 0, -1)
    ]
    assert len(times) >= 3
    assert [time.microsecond for time in times[1:]] == [0] * (len(times) - 1)
    assert times == sorted(set(times))
    table.assert_left_clean()
