"""Opening a task group, also as an earlier delivery of its parent has left it."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from docket.store import Again, Delivery, Ended, Fence, GroupLost, GroupNow, InGroup
from tests.store.conftest import Store
from tests.store.groups import LOOK, PARENT, add, end_one, of_task, scores

pytestmark = pytest.mark.anyio


async def test_a_group_of_a_task_is_named_in_its_record_and_looked_after(store: Store) -> None:
    group, _ = await of_task(store)
    record = await store.client.hgetall("d:runs:parent")
    assert group.id == f"{record[b'nonce'].decode()}.1" == record[b"groups"].decode()
    assert not group.joined
    (member,) = await store.client.zrange("d:groups", 0, -1)
    assert store.groups.named(member.decode()) == group
    assert await scores(store, group) == {"": -5}


async def test_a_group_names_its_parent_and_a_record_its_latest_group(store: Store) -> None:
    group, delivery = await of_task(store)
    members = await store.client.zrange(store.keys.group(group.id), 0, -1, withscores=True)
    assert members == [(b"\xffparent", PARENT), (b"", -5)]
    assert await store.client.hget("d:runs:parent", "opened") == b"1"
    await store.groups.open("parent", "3", delivery.fence, look_after=LOOK)
    await store.groups.open("parent", "2", delivery.fence, look_after=LOOK)
    assert await store.client.hget("d:runs:parent", "opened") == b"3"


async def test_a_record_names_the_latest_groups_that_have_names(store: Store) -> None:
    _, delivery = await of_task(store)
    for place in ("=b", "=a", "=b", "=c", "=d", "=e", "=f"):
        await store.groups.open("parent", place, delivery.fence, look_after=LOOK)
    named, opened = await store.client.hmget("d:runs:parent", "named", "opened")
    assert (named, opened) == (b"=b =c =d =e =f", b"1")


async def test_an_attempt_begins_with_its_first_group(store: Store) -> None:
    _, delivery = await of_task(store)
    await store.groups.open("parent", "7", delivery.fence, look_after=LOOK)
    await store.groups.open("parent", "=name", delivery.fence, look_after=LOOK)
    again = Again(attrs.evolve(delivery.message, attempt=2), tried="Boom")
    await store.claims().reschedule(delivery, again)
    delivery = await store.claimed()
    await store.groups.open("parent", "1", delivery.fence, look_after=LOOK)
    assert await store.client.hmget("d:runs:parent", "opened", "named") == [b"1", None]


async def test_only_the_claim_that_runs_opens_groups(store: Store) -> None:
    delivery = await store.running("parent")
    for stale in (Fence(delivery.message_id, 1, 2, "w"), Fence(delivery.message_id, 1, 1, "other")):
        with pytest.raises(GroupLost):
            await store.groups.open("parent", "1", stale, look_after=LOOK)
    await store.claims().settle(delivery, Ended("completed"))
    with pytest.raises(GroupLost):
        await store.groups.open("parent", "1", delivery.fence, look_after=LOOK)
    assert not await store.client.keys("d:group*")


async def handed_back(store: Store, delivery: Delivery) -> None:
    await store.claims().hand_back(delivery)


async def put_off(store: Store, delivery: Delivery) -> None:
    await store.claims().reschedule(delivery, Again(delivery.message, same=True))


async def lined_up(store: Store, delivery: Delivery) -> None:
    """It is handed back, its task is paused, and resumed."""
    claims = store.claims()
    await claims.hand_back(delivery)
    await store.pauses.pause("f", "", "")
    await claims.take(1)
    assert claims.lined_up == 1
    assert await store.pauses.resume("f")


async def lost(store: Store, delivery: Delivery) -> None:
    pass


@pytest.mark.parametrize("interrupted", [handed_back, put_off, lined_up, lost])
async def test_a_parent_that_begins_anew_finds_its_group_and_its_children(
    store: Store, interrupted: object
) -> None:
    group, delivery = await of_task(store)
    await add(store, group)
    assert await end_one(store, "failed") == "child"
    await interrupted(store, delivery)  # type: ignore[operator]
    if interrupted is lost:
        (again,) = await store.claims("v").take_over([delivery.message_id], timedelta(0))
        assert isinstance(again, Delivery)
    else:
        again = await store.claimed()
    joined = await store.groups.open("parent", "1", again.fence, look_after=LOOK)
    assert (joined.id, joined.joined) == (group.id, True)
    assert await add(store, joined) is InGroup.MEMBER
    assert await store.groups.now(joined) == GroupNow(is_open=True, under_way=0, failed=1)
    assert await store.groups.failed(joined, 100) == ["child"]


async def test_a_doomed_group_is_not_joined_again_and_its_neighbours_are(store: Store) -> None:
    first, delivery = await of_task(store)
    await store.groups.close(first)
    second = await store.groups.open("parent", "2", delivery.fence, look_after=LOOK)
    await add(store, second)
    assert await store.groups.cancel(second, LOOK) is False
    await store.claims().hand_back(delivery)
    fence = (await store.claimed()).fence
    again = await store.groups.open("parent", "1", fence, look_after=LOOK)
    fresh = await store.groups.open("parent", "2", fence, look_after=LOOK)
    assert (again.id, again.joined) == (first.id, True)
    assert (fresh.id, fresh.joined) == (f"{second.id}.2", False)
    assert await store.client.hget("d:runs:parent", "groups") == f"{first.id} {fresh.id}".encode()
