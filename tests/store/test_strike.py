"""strike.lua: add an instruction and remove what is spent; what the other scripts say of strikes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from docket.rules import Disposition
from docket.store import script_calls
from tests.store.conftest import PAST, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio

FIELDS = ("direction", "strike", "function", "f", "operator", "==", "value", "V")


async def strike(store: Store, *spent: bytes, after: bytes = b"-", count: int = 100) -> list[Any]:
    reply: Any = await store.client.run(
        *script_calls.strike(
            store.keys,
            after=after,
            count=count,
            spent_ids=len(spent),
            spent_and_fields=[*spent, *FIELDS],
        )
    )
    return [entry_id for entry_id, _ in reply]


async def test_an_instruction_is_added_as_other_implementations_write_it(store: Store) -> None:
    assert len(await strike(store)) == 1
    written = {"direction": "strike", "function": "f", "operator": "==", "value": "V"}
    assert await store.everything() == {"d:strikes": {"entries": [{"id": "#1", **written}]}}


async def test_what_is_spent_goes_and_what_is_new_to_the_caller_comes(store: Store) -> None:
    (first,) = await strike(store)
    _, second = await strike(store)
    assert await strike(store, first, b"1-1", after=b"(" + first) == [second, (await last(store))]
    assert await store.client.xlen("d:strikes") == 2


async def test_at_most_so_many_come_at_once(store: Store) -> None:
    every = [(await strike(store, count=1000))[-1] for _ in range(5)]
    assert await strike(store, count=3) == every[:3]


async def last(store: Store) -> bytes:
    ((entry_id, _),) = await store.client.xrevrange("d:strikes", count=1)
    return bytes(entry_id)


async def test_nothing_is_placed_over_strikes_that_the_caller_has_not_read(
    store: Store, heard: Heard
) -> None:
    (known,) = await strike(store)
    before = await store.everything()
    for stale in b"", b"1-1":
        placed = await store.schedule.place(message(), replace=True, strikes=stale)
        assert placed.disposition is Disposition.STRUCK
    assert await store.everything() == before
    assert await heard.all() == []
    placed = await store.schedule.place(message(), replace=False, strikes=known)
    assert placed.disposition is Disposition.SCHEDULED
    assert await store.everything() == {
        **before,
        "d:stream": {"entries": [{"id": "#2", **fields(when=PAST)}]},
        "d:runs:k": run("queued", known="1000000000", stream_id="#2"),
    }


async def test_the_last_strike_comes_with_what_was_taken(store: Store) -> None:
    claims = store.claims()
    await claims.create_group()
    await store.schedule.place(message("a"), replace=False)
    await claims.take(1)
    assert claims.newest_strike == b""
    (known,) = await strike(store)
    await claims.take(1)
    assert claims.newest_strike == b"", "nothing was taken"
    await store.schedule.place(message("b"), replace=False)
    await claims.take(1)
    assert claims.newest_strike == known
    await strike(store)
    idle: Any = await store.client.xpending_range("d:stream", "docket-workers", "-", "+", 10)
    other = store.claims("other")
    await other.take_over([entry["message_id"] for entry in idle], claims.ttl * 0)
    assert other.newest_strike == await last(store)


async def test_a_task_of_another_implementation_that_lies_where_the_strikes_are_harms_nobody(
    store: Store,
) -> None:
    await store.client.hset("d:strikes", mapping={"key": "strikes"})
    placed = await store.schedule.place(message(), replace=False, strikes=b"")
    assert placed.disposition is Disposition.SCHEDULED
    assert (await store.claimed()).message.key == "k"


@pytest.mark.parametrize("way", ["take", "take over", "claim unheard", "wait"])
async def test_who_takes_a_task_learns_which_strike_is_the_last(store: Store, way: str) -> None:
    """Also where it is one task only."""
    claims = store.claims()
    await claims.create_group()
    await store.schedule.place(message(), replace=False)
    if way in ("take over", "claim unheard"):
        (lost,) = await store.claims().take(1, asked="a.1")
    (known,) = await strike(store)
    assert claims.newest_strike == b""
    if way == "take":
        taken = await claims.take(1)
    elif way == "take over":
        taken = await claims.take_over([lost.message_id], timedelta(0))  # type: ignore[union-attr]
    elif way == "claim unheard":
        taken = await claims.claim_unheard([lost.message_id], ["a.1"], asked="a.2")  # type: ignore[union-attr]
    else:
        async with store.client.dedicated() as connection:
            taken = await claims.wait_for_tasks(connection, 1, timedelta(milliseconds=1))
    assert len(taken) == 1
    assert claims.newest_strike == known
