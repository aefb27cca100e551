"""Children of task groups are placed, and replaced."""

from __future__ import annotations

import attrs
import pytest

from docket.store import Again, Ended, GroupLost, InGroup, OpenGroup
from tests.store.conftest import FUTURE, Heard, Store, message
from tests.store.groups import LOOK, add, end_one, of_group, of_program, of_task, scores

pytestmark = pytest.mark.anyio


async def test_a_replaced_parent_dooms_its_groups(store: Store) -> None:
    group, delivery = await of_task(store)
    await store.schedule.place(message("parent"), replace=True)
    assert await scores(store, group) == {"": -6}
    assert not {b"nonce", b"groups"} & (await store.client.hgetall("d:runs:parent")).keys()
    with pytest.raises(GroupLost):
        await store.groups.open("parent", "2", delivery.fence, look_after=LOOK)


async def test_a_child_is_placed_once_and_under_a_key_that_is_free(store: Store) -> None:
    group = await of_program(store)
    await store.schedule.place(message("other", FUTURE), replace=False)
    assert await add(store, group) is None
    assert await add(store, group) is InGroup.MEMBER
    placed = await store.schedule.place(message("other"), replace=False, child_of=group.id)
    assert (placed.disposition.value, placed.in_group) == ("already_scheduled", None)
    assert await scores(store, group) == {"": -5, "child": 2}
    assert await store.client.hget("d:runs:child", "group") == group.id.encode()
    assert await store.client.hget("d:runs:other", "group") is None


async def test_nobody_is_added_to_a_group_that_is_doomed_or_left_or_unknown(store: Store) -> None:
    group, left = await of_program(store), await of_program(store)
    await store.groups.cancel(group, LOOK)
    assert await store.groups.close(left)
    for closed in (group, left, OpenGroup(id="none", parent="")):
        assert await add(store, closed) is InGroup.CLOSED
    assert await store.client.exists("d:runs:child") == 0


async def test_a_child_that_the_server_refuses_is_not_waited_for(store: Store) -> None:
    group = await of_program(store)
    await store.client.set("d:queue", "another type")
    with pytest.raises(Exception, match="queue"):
        await add(store, group, later=True)
    assert await scores(store, group) == {"": -5}


async def test_who_takes_the_place_of_a_child_is_none(store: Store, heard: Heard) -> None:
    group = await of_program(store)
    await add(store, group, later=True)
    await of_group(heard)
    await store.schedule.place(message("child"), replace=True)
    assert await scores(store, group) == {"": -5, "child": 0}
    assert await of_group(heard) == ["cancelled child"]
    assert await end_one(store, "failed") == "child"
    assert await scores(store, group) == {"": -5, "child": 0}


@pytest.mark.parametrize("how", ["retried", "next"])
async def test_another_attempt_or_run_begins_without_groups_and_the_old_ones_are_doomed(
    store: Store, heard: Heard, how: str
) -> None:
    group, delivery = await of_task(store)
    ended = Ended("completed") if how == "next" else None
    again = Again(delivery.message, ended=ended, tried="" if ended else "ValueError")
    await of_group(heard)
    await store.claims().reschedule(delivery, again)
    record = await store.client.hgetall("d:runs:parent")
    assert not {b"nonce", b"groups"} & record.keys()
    assert await scores(store, group) == {"": -6}
    assert await of_group(heard) == ["doomed ", "group"]
    assert await store.groups.due(10) == [attrs.evolve(group, joined=False)]


async def test_a_child_that_is_tried_again_stays_one(store: Store) -> None:
    group = await of_program(store)
    await add(store, group)
    delivery = await store.claimed()
    await store.claims().reschedule(delivery, Again(delivery.message, tried="ValueError"))
    assert await scores(store, group) == {"": -5, "child": 2}
    assert await end_one(store) == "child"
    assert await scores(store, group) == {"": -5, "child": 1}
