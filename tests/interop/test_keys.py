"""Keys: who is first, replacing, and names that are also those of the docket's own keys."""

from __future__ import annotations

from typing import Any

import pytest

from .sides import from_now
from .table import Table

pytestmark = pytest.mark.anyio

both_ways = pytest.mark.parametrize(
    ("one", "other"), [("pydocket", "ours"), ("ours", "pydocket")], ids=["pydocket-first", "ours-first"]
)
moments = pytest.mark.parametrize("seconds", [-1, 60], ids=["immediate", "future"])

#: Parked where pydocket parks, these would overwrite the docket's own keys.
RESERVED = [
    "stream", "queue", "workers", "strikes", "dead", "wake", "runs:x", "progress:x", "results:x", "known:x",
    "parked:queue", "parked:x", "groups", "group:x",
    "leases:redelivery-sweep", "worker-tasks:w", "task-workers:tally", "perpetual:lock",
]  # fmt: skip


@both_ways
@moments
async def test_a_key_that_waits_is_not_added_again_by_the_other_side(
    table: Table, one: str, other: str, seconds: float
) -> None:
    await table.side(one).add("echo", "first", key="k", when=from_now(seconds))
    again = await table.side(other).add("echo", "second", key="k")
    assert again["disposition"] == "already_scheduled"
    assert (await table.side(one).snapshot())["total"] == 1
    assert (await table.side(other).execution("k"))["args"] == ["first"]


@both_ways
async def test_a_key_that_runs_is_not_added_again_by_the_other_side(
    table: Table, one: str, other: str
) -> None:
    await table.side(one).start_worker("w")
    await table.side(one).add("hold", key="k")
    assert await table.begun("k") == "w"
    assert (await table.side(other).add("echo", "second", key="k"))["disposition"] == "already_scheduled"
    table.release()
    assert await table.side(other).outcome("k") == {"result": "w"}
    await table.side(one).stop_worker("w")


@both_ways
async def test_a_key_that_has_ended_may_be_used_again_by_the_other_side(
    table: Table, one: str, other: str
) -> None:
    await table.side(one).add("fail", "first", key="k")
    await table.side(one).drain("w1")
    assert (await table.side(other).add("echo", "second", key="k"))["disposition"] == "scheduled"
    record = await table.side(one).execution("k")
    assert (record["state"], record["error"]) == ("queued", None)
    await table.side(one).drain("w2")
    assert await table.side(other).outcome("k") == {"result": "second"}
    assert table.redis.hget(f"{table.name}:runs:k", "generation") == b"2"


@both_ways
@moments
async def test_the_other_side_replaces_what_waits(table: Table, one: str, other: str, seconds: float) -> None:
    await table.side(one).add("echo", "first", key="k", when=from_now(seconds))
    replaced = await table.side(other).replace("echo", "second", key="k", when=from_now(0.2))
    assert replaced["disposition"] == "scheduled"
    assert (await table.side(one).snapshot())["total"] == 1
    await table.side(one).drain("w")
    assert await table.side(other).outcome("k") == {"result": "second"}
    table.assert_left_clean()


@both_ways
@moments
async def test_the_other_side_replaces_what_waits_with_an_immediate_run(
    table: Table, one: str, other: str, seconds: float
) -> None:
    await table.side(one).add("echo", "first", key="k", when=from_now(seconds))
    await table.side(other).replace("echo", "second", key="k", when=from_now(-1))
    await table.side(one).drain("w")
    assert await table.side(other).outcome("k") == {"result": "second"}
    table.assert_left_clean()


@both_ways
async def test_a_task_that_was_moved_to_the_stream_can_be_replaced_by_the_other_side(
    table: Table, one: str, other: str
) -> None:
    await table.side(one).start_worker("w", concurrency=1)
    await table.side(one).add("hold", key="busy")
    await table.begun("busy")
    await table.side(one).add("tally", 1, key="k", when=from_now(0.05))
    await table.reaches("k", "queued")
    await table.side(other).replace("tally", 2, key="k", when=from_now(-1))
    table.release()
    assert await table.side(other).outcome("k") == {"result": "k"}
    await table.side(one).stop_worker("w")
    assert table.runs() == {b"2": b"1"}
    table.assert_left_clean()


@both_ways
async def test_a_run_that_the_other_side_replaces_ends_without_a_say(
    table: Table, one: str, other: str
) -> None:
    await table.side(one).start_worker("w")
    await table.side(one).add("hold", key="k")
    await table.begun("k")
    await table.side(other).replace("echo", "second", key="k", when=from_now(0.2))
    table.release()
    assert await table.side(other).outcome("k") == {"result": "second"}
    await table.side(one).stop_worker("w")
    table.assert_left_clean()


async def test_keys_named_like_the_dockets_own_are_safe_beside_a_working_pydocket(table: Table) -> None:
    """pydocket parks a future task over these keys; ours parks them where it does not look."""
    await table.pydocket.start_worker("theirs")
    for n, key in enumerate(RESERVED):
        await table.ours.add("tally", n, key=key, when=from_now(0.5))
    assert await table.pydocket.add("tally", 100, key="plain", when=from_now(0.2))
    assert await table.pydocket.outcome("plain") == {"result": "plain"}
    assert set((await table.ours.snapshot())["future"]) == set(RESERVED)
    assert list(await table.pydocket.list_workers()) == ["theirs"]
    await table.ours.drain("ours")
    for key in RESERVED:
        assert await table.ours.outcome(key) == {"result": key}
        assert await table.pydocket.outcome(key) == {"result": key}
    await table.pydocket.stop_worker("theirs")
    assert set(table.runs().values()) == {b"1"}
    table.assert_left_clean()


async def test_pydocket_sees_and_may_run_an_immediate_task_with_a_reserved_key(table: Table) -> None:
    for n, key in enumerate(RESERVED):
        await table.ours.add("tally", n, key=key)
    assert set((await table.pydocket.snapshot())["future"]) == set(RESERVED)
    await table.pydocket.drain("theirs")
    for key in RESERVED:
        assert await table.ours.outcome(key) == {"result": key}
    table.assert_left_clean()


async def test_reserved_keys_can_be_replaced_and_cancelled_while_pydocket_works(table: Table) -> None:
    await table.pydocket.start_worker("theirs")
    for key in RESERVED:
        await table.ours.add("echo", "first", key=key, when=from_now(60))
        await table.ours.replace("echo", "second", key=key, when=from_now(50))
        assert (await table.ours.execution(key))["args"] == ["second"]
        await table.ours.cancel(key)
        outcome: Any = await table.ours.outcome(key)
        assert outcome["error"] == "ExecutionCancelled"
    assert (await table.ours.snapshot())["total"] == 0
    await table.pydocket.add("echo", "still here", key="plain")
    assert await table.ours.outcome("plain") == {"result": "still here"}
    await table.pydocket.stop_worker("theirs")


@pytest.mark.parametrize("key", ["results:42", "cooldown:mail", "a:concurrency:b", "known:people"])
async def test_ours_replaces_and_cancels_what_pydocket_parked_under_a_key_that_ours_would_park_elsewhere(
    table: Table, key: str
) -> None:
    await table.pydocket.add("tally", 1, key=key, when=from_now(0.4))
    await table.ours.replace("tally", 2, key=key, when=from_now(0.2))
    assert (await table.ours.snapshot())["future"] == [key]
    await table.pydocket.add("tally", 3, key=key + "2", when=from_now(0.4))
    await table.ours.cancel(key + "2")
    await table.ours.drain("ours")
    assert table.runs() == {b"2": b"1"}
    assert (await table.pydocket.execution(key + "2"))["state"] == "cancelled"
    assert not table.redis.exists(f"{table.name}:{key}", f"{table.name}:{key}2")
    table.assert_left_clean()


@pytest.mark.parametrize("key", ["results:42", "cooldown:mail", "a:concurrency:b", "known:people"])
async def test_pydocket_replaces_and_cancels_what_ours_parked_where_it_does_not_look(
    table: Table, key: str
) -> None:
    await table.ours.add("tally", 1, key=key, when=from_now(0.3))
    await table.pydocket.replace("tally", 2, key=key, when=from_now(0.5))
    await table.ours.add("tally", 3, key=key + "2", when=from_now(0.3))
    await table.pydocket.cancel(key + "2")
    await table.ours.drain("ours")
    assert table.runs() == {b"2": b"1"}
    assert (await table.pydocket.execution(key + "2"))["state"] == "cancelled"
    assert await table.pydocket.outcome(key) == {"result": key}
    table.assert_left_clean()
