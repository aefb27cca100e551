"""resume.lua: what was lined up moves back to the stream."""

from __future__ import annotations

import attrs
import pytest

from docket.store import Delivery
from docket.store.keys import paused_task
from tests.store.conftest import Heard, Store, fields, message, run
from tests.store.test_pause import place, queued, waiting

pytestmark = pytest.mark.anyio


async def test_a_resume_moves_what_waited_back_in_its_order(store: Store, heard: Heard) -> None:
    await place(store, "a", "b", "c")
    await store.pauses.pause("f", "", "")
    await store.claims().take(10)
    await heard.all()
    assert await store.pauses.resume("f") == (True, 3)
    events = [(f"d:state:{key}", f'{{"type":"state","key":"{key}","state":"queued"}}') for key in "abc"]
    assert await heard.all() == [*events, ("d:wake", "resumed f")]
    known = await store.client.hget("d:runs:a", "known")
    assert known is not None
    assert await store.everything() == {
        "d:stream": {
            "entries": [{"id": f"#{n}", **fields(key, generation=3)} for n, key in enumerate("abc", 1)]
        },
        **{
            f"d:runs:{key}": run("queued", 3, known=known.decode(), stream_id=f"#{n}")
            for n, key in enumerate("abc", 1)
        },
    }
    taken = [one.message.key for one in await store.claims().take(10) if isinstance(one, Delivery)]
    assert taken == ["a", "b", "c"]
    assert await store.pauses.resume("f") == (False, 0)


async def test_a_resume_goes_on_where_another_was_cut_off(store: Store) -> None:
    keys = [f"{n:03}" for n in range(250)]
    await place(store, *keys)
    await store.pauses.pause("f", "", "")
    while len(await waiting(store)) < 250:
        await store.claims().take(100)
    assert await store.pauses._step("f", begins=True) == (True, 100, 150)
    await store.pauses.pause("g", "", "")
    await store.pauses.finish_resuming()
    assert await queued(store) == keys
    assert await store.client.smembers("d:waiting") == set()


async def test_what_is_paused_again_meanwhile_stays(store: Store) -> None:
    await place(store, "a")
    await store.pauses.pause("f", "", "")
    await store.claims().take(10)
    assert await store.pauses._step("f", begins=False) == (False, 0, 0)
    await store.pauses.finish_resuming()
    assert await waiting(store) == ["a"]


async def test_what_was_cancelled_or_replaced_by_pydocket_is_dropped(store: Store, heard: Heard) -> None:
    await place(store, "a", "b")
    await store.pauses.pause("f", "", "")
    await store.claims().take(10)
    await store.client.hset("d:runs:a", "state", "cancelled")
    await store.client.hset("d:runs:b", "generation", "9")
    await heard.all()
    assert await store.pauses.resume("f") == (True, 0)
    assert await heard.all() == [("d:wake", "resumed f"), ("d:wake", "finished")]
    assert await queued(store) == []


async def test_names_of_tasks_that_look_like_rows_have_rows_of_their_own(store: Store) -> None:
    names = ["f", "f:", "f::waiters", "f:waiters", ":", "ops:pause:f"]
    await store.claims().create_group()
    for name in names:
        await store.schedule.place(attrs.evolve(message(f"of {name}"), function=name), replace=False)
        await store.pauses.pause(name, "", "")
    await store.claims().take(10)
    for name in names:
        assert await waiting(store, f"{store.keys.pause(name)}:waiters") == [f"of {name}"]
        assert paused_task(store.keys, store.keys.pause(name)) == name
    assert paused_task(store.keys, "d:concurrency:f") is None
    assert [await store.pauses.resume(name) for name in names] == [(True, 1)] * len(names)
