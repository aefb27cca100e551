"""clear.lua: everything that waits is cancelled, in steps."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.store import script_calls
from tests.store.conftest import FUTURE, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio


async def test_what_waits_is_cancelled_and_what_runs_goes_on(store: Store, heard: Heard) -> None:
    await store.running("running")
    await store.schedule.place(message("queued"), replace=False)
    await store.schedule.place(message("later", FUTURE), replace=False)
    await store.schedule.place(message("stream", FUTURE), replace=False)
    await heard.all()
    assert await store.schedule.clear(100) == 3
    cancelled = run("cancelled", completed_at="now")
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields("running")}], "pending": {"#1": ("w", 1)}},
        "d:runs:running": run("running", worker="w", started_at="now", claim="#1.1"),
        "d:runs:queued (expires)": cancelled,
        "d:runs:later (expires)": {**cancelled, "when": "3000000000"},
        "d:runs:stream (expires)": {**cancelled, "when": "3000000000"},
    }
    assert {channel for channel, _ in await heard.all()} == {
        f"d:state:{key}" for key in ("queued", "later", "stream")
    }


async def test_a_replaced_run_goes_on_and_its_key_counts_once(store: Store) -> None:
    await store.running()
    await store.schedule.place(message(), replace=True)
    assert await store.schedule.clear(100) == 1
    assert (await store.everything())["d:stream"] == {
        "entries": [{"id": "#1", **fields()}],
        "pending": {"#1": ("w", 1)},
    }


async def test_whoever_waits_for_the_end_is_told(store: Store, heard: Heard) -> None:
    await store.schedule.place(message(), replace=False)
    await store.schedule.clear(100)
    assert ("d:wake", "finished") in await heard.all()


async def test_without_a_ttl_nothing_is_left(store: Store) -> None:
    store.ttl = timedelta(0)
    for key, when in ("queued", message().when), ("later", FUTURE):
        await store.schedule.place(message(key, when), replace=False)
    assert await store.schedule.clear(100) == 2
    assert await store.everything() == {"d:stream": {"entries": []}}


async def test_an_empty_docket_is_cleared(store: Store) -> None:
    assert await store.schedule.clear(100) == 0
    assert await store.everything() == {}


@pytest.mark.parametrize("batch", [1, 7, 20, 1000])
async def test_steps_of_any_size_find_everything(store: Store, batch: int) -> None:
    claims = store.claims()
    await store.schedule.place_many([message(f"running {n}") for n in range(10)], replace=False)
    await claims.create_group()
    await claims.take(10)
    await store.schedule.place_many([message(f"queued {n}") for n in range(15)], replace=False)
    await store.schedule.place_many([message(f"later {n}", FUTURE) for n in range(15)], replace=False)
    await store.schedule.place_many([message(f"parked:{n}", FUTURE) for n in range(5)], replace=False)
    assert await store.schedule.clear(batch) == 35
    assert await claims.unfinished() == 10


async def test_a_step_looks_at_no_more_limits_than_tasks(store: Store) -> None:
    """Also where nobody waits for them any more, since pydocket wakes without taking them off our list."""
    await store.client.sadd("d:waiting", *(f"d:concurrency:{n}" for n in range(100)))
    await store.client.run(
        *script_calls.clear(
            store.keys,
            completed_at="now",
            ttl_ms=900_000,
            limit=10,
            start="-",
        )
    )
    assert await store.client.scard("d:waiting") == 90
    assert await store.schedule.clear(10) == 0
    assert await store.client.scard("d:waiting") == 0
