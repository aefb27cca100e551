"""What is read of a tree of runs: who is in it, how each stands, and no more than was asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from docket import CurrentDocket, Docket, ExecutionState, FairShare, Retry, clock
from docket.errors import UsageError
from docket.operating import Tree, TreeRun
from tests.task_groups.conftest import elsewhere, reached, running, working
from tests.task_groups.tasks import HOUR, boom, double, endless, flaky, middle, root, total
from tests.where import one_loop, slow

pytestmark = pytest.mark.anyio


async def patient(docket: Docket = CurrentDocket()) -> None:
    """A parent whose children end in every way."""
    async with docket.task_group(on_failure="wait") as group:
        await group.add(double)(1)
        await group.add(boom, key="bad")("bang")
        await group.add(flaky, key="flaky")()
        await group.add(endless, key="runs")("runs")
        await group.add(double, when=clock.now() + HOUR, key="soon")(2)
        await group.add(middle, key="middle")()


async def turn(tenant: str, share: FairShare = FairShare("tenant")) -> None: ...


async def varied(docket: Docket = CurrentDocket()) -> None:
    """A parent whose children wait and run in every way."""
    async with docket.task_group() as group:
        await group.add(endless, key="urgent", priority="high")("urgent")
        await group.add(double, clock.now() + HOUR, "later", priority="low", expires=2 * HOUR)(2)
        for key in "drawn", "in a row":
            await group.add(turn, key=key, priority="low")("acme")


async def opens_many(docket: Docket = CurrentDocket()) -> None:
    for number in range(8):
        async with docket.task_group() as group:
            await group.add(double)(number)


async def tried_again(docket: Docket = CurrentDocket(), retry: Retry = Retry(attempts=2)) -> None:
    await total(2, docket)
    raise ValueError("no")


async def read(docket: Docket, key: str, **asked: int) -> Tree:
    tree = await docket.tree(key, **asked)
    assert tree is not None
    return tree


def lines(run: TreeRun) -> list[Any]:
    """The key and the state of a run, with those of its children."""
    return [run.key, run.state and run.state.value, *(lines(each) for g in run.groups for each in g.children)]


@asynccontextmanager
async def grown(docket: Docket) -> AsyncGenerator[Tree]:
    """The tree of `patient` once nothing changes in it, and its children are cancelled at the end."""
    for task in (patient, opens_many, tried_again):
        docket.register(task)
    async with working(docket, concurrency=3):
        await docket.add(patient, key="top")()
        await running(docket, "runs", "leaf")
        for key, state in ("bad", ExecutionState.FAILED), ("flaky", ExecutionState.COMPLETED):
            await reached(docket, key, state)
        yield await read(docket, "top")
        await docket.cancel("top")
        await reached(docket, "top", ExecutionState.CANCELLED)


async def test_a_tree_has_every_run_with_its_state_failures_first(docket: Docket) -> None:
    async with grown(docket) as tree:
        [group] = tree.run.groups
        assert (tree.group, tree.parents, tree.of_program) == (None, [], False)
        assert (group.state, group.total, group.left_out) == ("open", 6, 0)
        assert (group.completed, group.failed, group.cancelled, group.under_way) == (2, 1, 0, 3)
        assert lines(tree.run) == [
            "top", "running",
            ["bad", "failed"],
            ["middle", "running", ["leaf", "running"], ["later", "scheduled"]],
            ["runs", "running"],
            ["soon", "scheduled"],
            ["flaky", "completed"],
            [f"top:{group.id}:1", "completed"],
        ]  # fmt: skip
        found = {each.key: each for each in tree.runs()}
        assert found["bad"].error == "Boom: bang"
        assert found["flaky"].attempt == 3
        assert (found["leaf"].worker, found["leaf"].worker_is_gone) == ("w", False)
        await docket.pause(double)
        found = {each.key: each for each in (await read(docket, "top")).runs()}
        assert (found["later"].paused, found["leaf"].paused) == (True, False)
        await docket.resume(double)


async def test_a_child_is_shown_with_its_level_its_turn_its_expiry_and_what_runs_once_more(
    docket: Docket,
) -> None:
    for task in varied, turn:
        docket.register(task)
    async with working(docket, concurrency=1):
        await docket.add(varied, key="top")()
        await running(docket, "urgent")
        await docket.add(endless, key="urgent", if_running="once_more")("urgent")
        found = {each.key: each for each in (await read(docket, "top")).runs()}
        for key, each in found.items():
            alone = await docket.get_execution(key)
            assert alone is not None
            assert (each.state, each.priority, each.waits_for_turn, each.expires, each.runs_once_more) == (
                alone.state,
                alone.priority,
                alone.waits_for_turn,
                alone.expires,
                alone.has_successor,
            )
        assert {key: each.priority.value for key, each in found.items()} == {
            "top": "normal", "urgent": "high", "later": "low", "drawn": "low", "in a row": "low",
        }  # fmt: skip
        assert found["in a row"].waits_for_turn == "tenant:acme"
        assert found["later"].expires is not None
        assert found["urgent"].runs_once_more
        page = await docket.children((await read(docket, "top")).run.groups[0].id)
        assert page is not None
        assert [child for child in page.children if child != found[child.key]] == []
        await docket.cancel("top")
        await reached(docket, "top", ExecutionState.CANCELLED)


async def test_what_is_above_a_run_is_known_up_to_the_top(docket: Docket) -> None:
    async with grown(docket) as tree:
        leaf = await read(docket, "leaf")
        assert leaf.parents == ["middle", "top"]
        assert leaf.group == tree.run.groups[0].children[1].groups[0].id
        assert not leaf.of_program


async def test_a_child_of_a_plain_program_is_known_as_one(docket: Docket) -> None:
    async with elsewhere(docket), docket.task_group() as group:
        child = await group.add(root)()
        await running(docket, "leaf")
        leaf = await read(docket, "leaf")
        assert (leaf.parents, leaf.of_program) == (["middle", child.key], True)
        group.cancel()


async def test_a_tree_is_read_as_far_as_it_is_asked_for(docket: Docket) -> None:
    async with grown(docket):
        tree = await read(docket, "top", depth=1, limit=3)
        assert lines(tree.run) == [
            "top", "running", ["bad", "failed"], ["middle", "running"], ["runs", "running"],
        ]  # fmt: skip
        assert (tree.run.groups[0].left_out, tree.run.groups[0].children[1].is_cut) == (3, True)
        tree = await read(docket, "top", depth=0)
        assert (lines(tree.run), tree.run.is_cut) == (["top", "running"], True)
        tree = await read(docket, "top", most=3)
        assert lines(tree.run) == ["top", "running", ["bad", "failed"], ["middle", "running"]]
        assert tree.run.groups[0].children[1].is_cut


async def test_the_end_of_a_tree_is_kept_as_long_as_its_runs_are(docket: Docket) -> None:
    async with grown(docket):
        pass
    tree = await read(docket, "top")
    group = tree.run.groups[0]
    assert (group.state, group.under_way, group.cancelled) == ("cancelled", 0, 3)
    assert {each.state for each in tree.runs() if each.key in ("runs", "leaf", "soon")} == {
        ExecutionState.CANCELLED
    }
    async with docket.redis() as redis:
        await redis.delete(docket.runs_key("bad"), docket.runs_key("runs"))
    bad, *others = (await read(docket, "top")).run.groups[0].children
    assert (bad.key, bad.function, bad.state) == ("bad", None, ExecutionState.FAILED)
    assert {each.key: each.state for each in others}["runs"] is ExecutionState.CANCELLED


async def test_of_a_run_that_opens_many_groups_the_last_are_shown(docket: Docket) -> None:
    docket.register(opens_many)
    async with working(docket):
        await (await docket.add(opens_many, key="top")()).get_result()
    run = (await read(docket, "top")).run
    assert [(group.state, group.completed) for group in run.groups] == [("left", 1)] * 5
    assert run.groups[-1].id.endswith(".8")
    assert run.groups_before == 3


async def test_an_attempt_is_shown_without_what_the_ones_before_have_opened(docket: Docket) -> None:
    docket.register(tried_again)
    async with working(docket):
        await docket.add(tried_again, key="top")()
        await reached(docket, "top", ExecutionState.FAILED)
    run = (await read(docket, "top")).run
    assert (run.attempt, [group.completed for group in run.groups], run.groups_before) == (2, [2], 0)


async def test_children_are_listed_page_by_page(docket: Docket) -> None:
    async with grown(docket) as tree:
        group = tree.run.groups[0].id
        page = await docket.children(group, limit=4)
        assert page is not None
        assert (page.parent, page.group.total) == ("top", 6)
        assert [(child.key, child.is_cut) for child in page.children] == [
            ("bad", False), ("middle", True), ("runs", False), ("soon", False),
        ]  # fmt: skip
        page = await docket.children(group, limit=4, after=page.after)
        assert page is not None
        assert ([child.key for child in page.children], page.after) == (["flaky", f"top:{group}:1"], None)
        assert await docket.children("nobody.1") is None


async def test_what_cannot_be_asked_for_is_refused(docket: Docket) -> None:
    for asked in {"depth": 11}, {"depth": -1}, {"limit": 1001}, {"most": 0}:
        with pytest.raises(UsageError, match=f"{next(iter(asked))} takes a whole number"):
            await docket.tree("k", **asked)
    with pytest.raises(UsageError, match="may not be empty"):
        await docket.tree("")
    with pytest.raises(UsageError, match="may not be empty"):
        await docket.children("")
    async with docket.task_group() as group:
        with pytest.raises(UsageError, match="is no place in a list"):
            await docket.children(group.id, after="x")
    assert await docket.tree("nobody") is None


@one_loop
@slow
async def test_of_very_many_children_few_are_read_and_those_that_run_are_among_them(redis_url: str) -> None:
    async with Docket("large", redis_url) as docket:
        docket.register(double)
        group = "feed.1"
        members = dict.fromkeys((f"k{number}" for number in range(100_000)), 2)
        top = {"state": "running", "function": "double", "nonce": "feed", "opened": "1", "groups": group}
        for number in (7, 70_000, 99_999):
            await docket.add(double, key=f"k{number}")(number)
        claims = docket.store.claims("w")
        await claims.create_group()
        await claims.take(3)
        async with docket.redis() as redis:
            await redis.zadd(docket.keys.group(group), members | {"": -5, "k5000": -1, "k6000": 1})
            await redis.hset(docket.runs_key("top"), mapping=top)
            for number in (7, 70_000, 99_999):
                await redis.hset(docket.runs_key(f"k{number}"), "group", group)
            await redis.call("CONFIG", "RESETSTAT")
            [shown] = (await read(docket, "top", limit=6)).run.groups
            stats = await redis.info("commandstats")
        assert [child.key for child in shown.children[:4]] == ["k5000", "k7", "k70000", "k99999"]
        assert (shown.total, shown.left_out, shown.under_way) == (100_000, 99_994, 99_998)
        assert sum(each["calls"] for each in stats.values()) < 50
        assert max(each["usec_per_call"] for each in stats.values()) < 10_000
