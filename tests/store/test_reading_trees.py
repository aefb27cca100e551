"""What is read of groups and their children: page by page, while these end."""

from __future__ import annotations

import pytest

from docket.errors import UsageError
from docket.store import Child, OpenGroup
from tests.store.conftest import Store
from tests.store.groups import LOOK, PARENT, add, of_program, of_task

pytestmark = pytest.mark.anyio

ENDS = {"failed": -1, "stopping": 2.5, "under_way": 2, "cancelled": 0, "completed": 1}


async def filled(store: Store, each: int) -> OpenGroup:
    """A group with so many children of each kind."""
    group = await of_program(store)
    members = {f"{kind}-{number:02}": score for kind, score in ENDS.items() for number in range(each)}
    await store.client.zadd(store.keys.group(group.id), members)
    return group


async def test_pages_have_every_child_once_kind_by_kind(store: Store) -> None:
    group = await filled(store, 7)
    found: list[Child] = []
    after: str | None = ""
    while after is not None:
        page = await store.trees.children(group.id, 4, after)
        assert len(page.children) == 4 or page.after is None
        found += page.children
        after = page.after
    assert found == [Child(key=f"{kind}-{number:02}", kind=kind) for kind in ENDS for number in range(7)]


async def test_a_page_goes_on_behind_a_child_that_has_ended_since(store: Store) -> None:
    group = await filled(store, 9)
    name = store.keys.group(group.id)
    page = await store.trees.children(group.id, 22)
    assert page.after == "under_way under_way-03"
    await store.client.zadd(name, {"under_way-03": 1, "under_way-00": -1, "under_way-06": 1})
    page = await store.trees.children(group.id, 4, page.after)
    assert [child.key for child in page.children] == [
        *(f"under_way-0{number}" for number in (4, 5, 7, 8)),
    ]
    page = await store.trees.children(group.id, 100, page.after)
    assert {"under_way-03", "under_way-06"} < {child.key for child in page.children}


@pytest.mark.parametrize("after", ["x", "failed", "failed ", "open k"])
async def test_what_is_no_place_is_refused(store: Store, after: str) -> None:
    group = await filled(store, 1)
    with pytest.raises(UsageError, match="is no place in a list"):
        await store.trees.children(group.id, 4, after)


async def test_a_group_counts_its_children_and_names_its_parent(store: Store) -> None:
    group, _ = await of_task(store)
    await add(store, group)
    await store.client.zadd(store.keys.group(group.id), {"a": 2.5, "b": -1, "c": 0, "d": 1})
    (stood,) = await store.trees.groups([group.id, "nobody.1"], 1)
    assert (stood.state, stood.parent) == ("open", "parent")
    assert stood.counts == dict.fromkeys(ENDS, 1)
    assert [child.key for child in stood.some] == ["b", "a", "child", "c", "d"]
    (stood,) = await store.trees.groups([(await of_program(store)).id], 1)
    assert (stood.parent, stood.some) == (None, [])


async def test_what_took_the_place_of_a_cancelled_group_is_read_with_it(store: Store) -> None:
    first, delivery = await of_task(store)
    await add(store, first)
    await store.groups.cancel(first, LOOK)
    await store.claims().hand_back(delivery)
    again = await store.groups.open("parent", "1", (await store.claimed()).fence, look_after=LOOK)
    stood = await store.trees.groups([first.id], 1)
    assert [(each.id, each.state) for each in stood] == [(first.id, "cancelled"), (again.id, "open")]


async def test_of_a_run_with_many_groups_the_latest_and_the_open_ones_are_known(store: Store) -> None:
    group, delivery = await of_task(store)
    for number in range(2, 20):
        each = await store.groups.open("parent", str(number), delivery.fence, look_after=LOOK)
        await store.groups.close(each)
    await store.groups.close(await store.groups.open("parent", "=name", delivery.fence, look_after=LOOK))
    (now,) = await store.trees.runs(["parent"])
    assert now is not None
    nonce = group.id.partition(".")[0]
    assert now.groups == [*(f"{nonce}.{number}" for number in range(15, 20)), f"{nonce}.=name", group.id]
    assert now.before == 14


async def test_what_is_no_record_and_no_group_is_left_out(store: Store) -> None:
    group, _ = await of_task(store)
    await store.client.set("d:runs:other", "x")
    await store.client.set(store.keys.group("x.1"), "x")
    now = await store.trees.runs(["parent", "nobody", "other"])
    assert [each is not None for each in now] == [True, False, False]
    assert [each.id for each in await store.trees.groups(["x.1", group.id], 3)] == [group.id]
    assert await store.client.zscore(store.keys.group(group.id), b"\xffparent") == PARENT
