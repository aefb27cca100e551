"""ledger.lua: rows of ended runs, and what minutes and hours saw of each task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from docket import clock
from docket.store import ALL_TASKS, Ledger, Liveness, RunCounts, TaskEnds, row_text
from docket.store.ledger import MOST_TASKS
from docket.transport import Client
from tests.store.conftest import PAST, Store, message

pytestmark = pytest.mark.anyio

WEEK = timedelta(days=7)


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store.client, store.keys, WEEK, 1000)


def ends(task: str = "f", rows: int = 1, at: float | None = None, key: str = "k") -> TaskEnds:
    """Runs of a task that completed just now, after 5 ms."""
    now = clock.timestamp() if at is None else at
    texts = [row_text("completed", (1, 1), (now, 0.005, 0.5), 0, "w", f"{key}{n}", "") for n in range(rows)]
    counts = RunCounts([rows, 0, 0, 0], 0.005 * rows, 0.5 * rows, [0, 0, rows, *[0] * 9])
    return TaskEnds(task, now, texts, {int(now // 60): counts})


async def test_ends_leave_rows_and_figures_of_a_minute_and_an_hour(ledger: Ledger, store: Store) -> None:
    now = clock.timestamp()
    await ledger.write("w", "a:1", [ends(at=now), TaskEnds(ALL_TASKS, now, [], ends(at=now).counts)], now)
    everything = await store.everything()
    minute, hour = int(now // 3600), int(now // 86400)
    named = {name.removesuffix(" (expires)") for name in everything}
    expected = {
        "d:ops:names", "d:ops:written:w", "d:ops:history:f",
        f"d:ops:minutes:f:{minute}", f"d:ops:hours:f:{hour}", f"d:ops:minutes:*:{minute}", f"d:ops:hours:*:{hour}",
    }  # fmt: skip
    # On memory:// nobody else notes the depths.
    assert named - {"d:ops:depths-turn", f"d:ops:depths:{minute}"} == expected
    assert all(name.endswith(" (expires)") for name in everything)
    ((rows, following),) = (await ledger.pages({"f": "+"}, 10)).values()
    assert [(row.key, row.state, row.ran, row.late, row.worker) for row in rows] == [
        ("k0", "completed", 0.005, 0.5, "w")
    ]
    assert following is None
    for per in "minute", "hour":
        *_, (_, counts) = await ledger.counts("f", per, now)
        assert (counts.states, counts.ran, counts.late, counts.parts[2]) == ([1, 0, 0, 0], 0.005, 0.5, 1)


async def test_a_batch_counts_once_however_often_it_is_written(ledger: Ledger) -> None:
    now = clock.timestamp()
    for batch in "a:1", "a:1", "a:2":
        await ledger.write("w", batch, [ends(at=now)], now)
    *_, (_, counts) = await ledger.counts("f", "hour", now)
    assert counts.states[0] == 2


async def test_a_busy_task_does_not_push_out_the_rows_of_another(store: Store) -> None:
    ledger = Ledger(store.client, store.keys, WEEK, 100)
    now = clock.timestamp()
    await ledger.write("w", "a:1", [ends("daily")], now)
    for batch in range(20):
        await ledger.write("w", f"b:{batch}", [ends("busy", rows=40)], now)
    pages = await ledger.pages({"daily": "+", "busy": "+"}, 1000)
    assert len(pages["daily"][0]) == 1
    assert 100 <= len(pages["busy"][0]) <= 240  # the server trims whole nodes of a hundred


async def test_rows_that_are_too_old_go_with_the_next_ones(store: Store) -> None:
    now = clock.timestamp()
    ledger = Ledger(store.client, store.keys, timedelta(seconds=60), 100)
    old = row_text("failed", (1, 1), (now, None, 0.0), 0, "w", "old", "why")
    await store.client.xadd("d:ops:history:f", {"r": old}, id=f"{int(now - 61) * 1000}-0")
    assert (await ledger.pages({"f": "+"}, 10))["f"] == ([], None)
    await ledger.write("w", "a:1", [ends()], now)
    assert await store.client.xlen("d:ops:history:f") == 1


async def test_the_names_that_were_silent_for_longest_go_with_all_that_is_kept_of_them(
    ledger: Ledger, store: Store
) -> None:
    now = clock.timestamp()
    await ledger.write("w", "a:1", [ends("old")], now - 60)
    for at in range(0, MOST_TASKS, 20):
        await ledger.write("w", f"b:{at}", [ends(f"f{at + n}", rows=0) for n in range(20)], now)
    assert "old" not in await ledger.tasks()
    assert len(await ledger.tasks()) == MOST_TASKS
    assert not [name async for name in store.client.scan_iter("d:ops:*:old*")]


async def test_any_text_comes_back_from_a_row(ledger: Ledger) -> None:
    key, worker, error = "a\tb\\t\\\\c\n", "w\\", "no\t\\tab" + "x" * 300
    now = clock.timestamp()
    waited = "high tenant:a\tb"
    text = row_text("retried", (3, 2), (now, None, 0.0), 7, worker, key, error, waited)
    await ledger.write("w", "a:1", [TaskEnds("f", now, [text], {})], now)
    ((row,), _) = (await ledger.pages({"f": "+"}, 10))["f"]
    assert (row.key, row.worker, row.error, row.left_out, row.waited) == (key, worker, error[:200], 7, waited)
    assert (row.state, row.generation, row.attempt, row.ran) == ("retried", 3, 2, None)


async def test_what_others_write_there_is_no_row(ledger: Ledger, store: Store) -> None:
    for text in "", "c\t1", "q\t1\t1\t1\t1\t1\t0\tw\tk\t", "c\t1\t1\tx\t1\t1\t0\tw\tk\t":
        await store.client.xadd("d:ops:history:f", {"r": text})
    assert (await ledger.pages({"f": "+"}, 10))["f"] == ([], None)


@pytest.fixture
async def on_a_server(redis_url: str) -> AsyncIterator[Store]:
    async with Client.from_url(redis_url) as client:
        yield Store(client)


async def test_a_busy_task_keeps_as_much_memory_as_the_table_says(on_a_server: Store) -> None:
    """The bounds of docs/operating.md: a history of 1000 rows, 25 hours of minutes and 32 days of hours."""
    store = on_a_server
    ledger, now = Ledger(store.client, store.keys, WEEK, 1000), clock.timestamp()
    for batch in range(60):
        await ledger.write("w", f"a:{batch}", [ends(rows=20, key="k" * 30)], now)
    for minute in range(25 * 60):
        await ledger.write(
            "w", f"b:{minute}", [TaskEnds("f", now, [], ends(rows=0, at=now - minute * 60).counts)], now
        )
        if minute % 60 == 0:
            counts = {int((now - minute * 32 * 60 + 0.0) // 60): RunCounts([1, 0, 0, 0], 1, 1, [1] * 12)}
            await ledger.write("w", f"c:{minute}", [TaskEnds("f", now, [], counts)], now)
    sizes = {
        kind: sum(
            [
                await store.client.memory_usage(name)
                async for name in store.client.scan_iter(f"d:ops:{kind}:*")
            ]
        )
        for kind in ("history", "minutes", "hours")
    }
    assert sizes["history"] < 120_000
    assert sizes["minutes"] < 26 * 6_000
    assert sizes["hours"] < 33 * 3_000


async def test_a_beat_notes_the_depths_once_in_a_minute(on_a_server: Store) -> None:
    store = on_a_server
    liveness = Liveness(store.client, store.keys, timedelta(minutes=1), depths_too=True)
    await store.running("k")
    for _ in range(2):
        await liveness.beat("w", [], tasks_too=False)
    ledger = Ledger(store.client, store.keys, WEEK, 10)
    (depth,) = await ledger.depths(clock.timestamp() - 60)
    assert (depth.due, depth.later, depth.running) == (0, 0, 1)


async def noted(store: Store) -> tuple[int, int, int]:
    """The depths of this minute, as the first worker notes them."""
    ledger = Ledger(store.client, store.keys, WEEK, 10)
    if store.client.is_memory:
        await ledger.write("w", "a:1", [], clock.timestamp())
    else:
        await Liveness(store.client, store.keys, timedelta(minutes=1), depths_too=True).beat(
            "w", [], tasks_too=False
        )
    (depth,) = await ledger.depths(clock.timestamp() - 60)
    return depth.due, depth.later, depth.running


async def test_those_that_wait_for_their_turn_are_due(store: Store) -> None:
    for level, values in (("normal", "aab"), ("high", "aabbb")):
        for number, value in enumerate(values):
            lane = {} if level == "normal" else {"docket:lane": level}
            call = message(f"{level} {number}", PAST, **{"docket:share": f"1 t:{value}"}, **lane)
            await store.schedule.place(call, replace=False)
    assert await noted(store) == (8, 0, 0)


async def test_of_very_many_values_each_further_one_counts_for_one_task(store: Store) -> None:
    others = 1001
    await store.client.xadd("d:ops:lane:normal-turns", {"key": "drawn"})
    await store.client.zadd("d:ops:turns:normal", {"t:last": 2, **{f"t:{n}": 1 for n in range(others)}})
    for value in "0", "last":
        for _ in range(3):
            await store.client.xadd(f"d:ops:row:normal:t:{value}::waiters", {"key": "k"})
    assert (await noted(store))[0] == 1 + 3 + 2
