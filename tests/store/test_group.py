"""group.lua: a worker finds the stream and its consumer group, whoever has made them."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ResponseError

from tests.store.conftest import Store

pytestmark = pytest.mark.anyio


async def groups(store: Store) -> list[Any]:
    return await store.client.xinfo_groups("d:stream")


async def test_the_stream_and_its_group_are_made_from_the_first_entry_on(store: Store) -> None:
    await store.claims().create_group()
    (made,) = await groups(store)
    assert (made["name"], made["last-delivered-id"]) == (b"docket-workers", b"0-0")


async def test_a_group_that_is_there_stays_as_it_is(store: Store) -> None:
    await store.running()
    before = await store.everything()
    await store.claims().create_group()
    assert await store.everything() == before


async def test_a_key_that_is_no_stream_is_an_error(store: Store) -> None:
    await store.client.set("d:stream", "text")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.claims().create_group()


async def test_the_lane_of_turns_that_somebody_waits_for_is_made(store: Store) -> None:
    """Somebody has deleted it; whoever takes from it draws."""
    await store.client.zadd("d:ops:turns:low", {"t:a": 1})
    claims = store.claims()
    await claims.create_group()
    assert claims.lanes.there == {"low-turns"}
