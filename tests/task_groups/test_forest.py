"""Random trees with random ends, whose workers are killed, and whose members are cancelled, replaced and cleared from
outside: what the groups, the parents and the ledger of runs say agrees, nothing runs twice but after a kill, and
nothing is left.

``DOCKET_FORESTS=100 pytest tests/task_groups/test_forest.py`` tries a hundred, from the seed ``DOCKET_FORESTS_FROM``
on. A seed draws all of it: hypothesis tries the simplest first, and what a kill does cannot be shrunk.
"""

from __future__ import annotations

import os
import random
import re
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from docket import Docket, Execution, clock
from docket.task_group.openers import DOOMED_LOOK
from tests.chaos.ledger import read
from tests.task_groups.forest import LEASE, Kind, Node, Run, Workers, runs_of, task_of, tasks
from tests.where import slow

FIRST, MANY = (int(os.environ.get(f"DOCKET_FORESTS{name}", "0")) for name in ("_FROM", ""))
SEEDS = range(FIRST, FIRST + MANY) if MANY else [2]

TREES, KILLS, DEEDS = 10, 3, 8

#: Seconds after the last root has ended until nothing is left: a parent may be killed as its children are cancelled, so
#: that a worker closes its group at the next look.
BOUND = DOOMED_LOOK.total_seconds() + 2 * LEASE.total_seconds() + 2

#: Seconds after the end of a parent until its children have ended, where no worker that could tell them is killed.
SOON = 3 * LEASE.total_seconds()


def a_tree(chance: random.Random, depth: int, *, may_fail: bool = True) -> Node:
    kinds: list[Kind] = ["returns"] * 6 + ["flaky", "timed"]
    kind = chance.choice([*kinds, "raises"] if may_fail else kinds)
    if kind == "timed" and not may_fail:
        kind = "returns"
    seconds = chance.choice([0, 0.01, 0.1, 0.3])
    if kind == "timed":
        return Node(kind, 0, (Node("endless"), *(Node() for _ in range(chance.randrange(2)))))
    how_many = chance.choice([0, 1, 2, 3]) if depth else 0
    catches = chance.random() < 0.5
    return Node(
        kind,
        seconds,
        tuple(
            a_tree(chance, depth - 1, may_fail=may_fail and chance.random() < 0.3) for _ in range(how_many)
        ),
        chance.choice(["cancel", "wait"]),
        chance.choice(["one by one", "many", "few", "as they end"]),
        catches,
    )


@attrs.define
class Forest:
    """One example, and what became of it. Moments are those of the monotonic clock."""

    seed: int
    trees: dict[str, Node]
    kills: list[float]
    deeds: list[tuple[float, str, str]]
    """When what is done to which key."""
    done: dict[str, float] = attrs.field(factory=dict[str, float])
    """When something was done to a key the last time."""
    is_cleared: bool = False

    @classmethod
    def grown(cls, seed: int) -> Forest:
        chance = random.Random(seed)
        trees = {f"t{number}": a_tree(chance, 3) for number in range(TREES)}
        nodes = [key for root, tree in trees.items() for key, _ in tree.under(root)]
        deeds = [
            (chance.uniform(0, 1), chance.choice(["cancel", "cancel", "replace"]), chance.choice(nodes))
            for _ in range(chance.randrange(DEEDS))
        ]
        if chance.random() < 0.3:
            deeds.append((chance.uniform(0, 1), "clear", ""))
        return cls(
            seed, trees, [chance.uniform(0.1, 1) for _ in range(chance.randint(1, KILLS))], sorted(deeds)
        )

    def is_touched(self, key: str) -> bool:
        """Whether something was done to the task, its tree, or all."""
        root = key.partition("/")[0].partition("+")[0]
        return self.is_cleared or any(each.partition("/")[0] == root for each in self.done)

    # what is done to it ----------------------------------------------------------------------------------

    async def live(self, docket: Docket, workers: Workers) -> None:
        """All of it happens; returns once nothing is left to do."""
        async with anyio.create_task_group() as beside:

            async def torment() -> None:
                while not read(workers.directory):  # none has begun
                    await anyio.sleep(0.01)
                beside.start_soon(self._kill, workers)
                beside.start_soon(self._interfere, docket)

            beside.start_soon(torment)
            with suppress(ExceptionGroup):
                async with docket.task_group(on_failure="wait") as group:
                    for key, tree in self.trees.items():
                        await group.add(task_of(tree), key=key)(tree)
        until = anyio.current_time() + BOUND
        while still := await left(docket):
            assert anyio.current_time() < until, f"there is still {still}"
            await anyio.sleep(0.05)

    async def _kill(self, workers: Workers) -> None:
        began = anyio.current_time()
        for at in sorted(self.kills):
            await anyio.sleep_until(began + at)
            workers.kill_one()

    async def _interfere(self, docket: Docket) -> None:
        began = anyio.current_time()
        for at, deed, key in self.deeds:
            await anyio.sleep_until(began + at)
            if deed == "clear":
                self.is_cleared = True
                await docket.clear()
                continue
            self.done[key] = time.monotonic()
            if deed == "cancel":
                await docket.cancel(key)
            else:
                await docket.replace(tasks[0], clock.now(), key)(Node())
            self.done[key] = time.monotonic()


async def left(docket: Docket) -> dict[str, int]:
    """What is not over yet."""
    async with docket.redis() as redis:
        counts = {
            "stream": int(await redis.xlen(docket.stream_key)),
            "queue": int(await redis.zcard(docket.queue_key)),
            "groups": int(await redis.zcard(docket.keys.groups)),
        }
        return {name: count for name, count in counts.items() if count}


@attrs.frozen
class Books:
    """All that is known at the end."""

    forest: Forest
    killed: set[int]
    lost: set[str]
    """The keys of which a worker has lost a lease: the machine stood still for longer."""
    runs: dict[str, list[Run]]
    executions: dict[str, Execution[Any]]
    views: dict[str, dict[str, str]]
    """What each parent that has completed says of its children."""
    groups: dict[str, dict[str, float]]
    records: dict[str, dict[str, str]]

    @classmethod
    async def kept(cls, forest: Forest, docket: Docket, workers: Workers, directory: Path) -> Books:
        runs = runs_of(read(directory))
        logs = "".join(path.read_text() for path in directory.glob("*.log"))
        lost = set(re.findall(r"\{(\S+)\} \(lost\)", logs))
        executions, views = dict[str, Execution[Any]](), dict[str, dict[str, str]]()
        groups, records = dict[str, dict[str, float]](), dict[str, dict[str, str]]()
        async with docket.redis() as redis:
            async for name in redis.scan_iter(match=f"{docket.keys.group('')}*", count=1000):
                short = name.decode().removeprefix(docket.keys.group(""))
                members = await redis.zrange(name, 0, -1, withscores=True)
                groups[short] = {member.decode(): score for member, score in members if member[:1] != b"\xff"}
                assert await redis.pttl(name) > 0, f"group {short} would stay for ever"
            for key in {*runs, *(key for members in groups.values() for key in members if key)}:
                if (execution := await docket.get_execution(key)) is not None:
                    executions[key] = execution
                found = await redis.hgetall(docket.keys.run(key))
                records[key] = {
                    field.decode(): value.decode(errors="replace") for field, value in found.items()
                }
                assert not found or await redis.pttl(docket.keys.run(key)) > 0, f"{key} would stay for ever"
        for key, execution in executions.items():
            if execution.state == "completed":
                views[key] = await execution.get_result(timeout=timedelta(seconds=5))
        return cls(forest, workers.killed, lost, runs, executions, views, groups, records)

    # what has to agree -----------------------------------------------------------------------------------

    def check_trees(self) -> None:
        """Where nobody has interfered each tree has ended as it was to, whoever was killed."""
        for root, tree in self.forest.trees.items():
            if not self.forest.is_touched(root):
                state = self.executions[root].state
                assert state == ("failed" if tree.fails else "completed"), f"{root} is {state}"

    def check_views(self) -> None:
        """What parents say of their children is what became of these."""
        for key, view in self.views.items():
            for child, how in view.items():
                if not self.forest.is_touched(child):
                    assert self.executions[child].state == how, f"{key} says of {child}: {how}"

    def check_groups(self) -> None:
        """So do the groups, and nobody is under way in any."""
        scores = {"completed": 1, "cancelled": 0, "failed": -1}
        for group, members in self.groups.items():
            assert members.pop("") in (-4, -6), f"group {group} was not left"
            for key, score in members.items():
                assert score < 2, f"{key} is under way in {group}"
                record = self.records[key]
                if record.get("group") == group and key not in self.forest.done:
                    assert scores[record["state"]] == score, (
                        f"{key} is {record['state']}, and {score} in {group}"
                    )

    def check_runs(self) -> None:
        """Each attempt of each generation was run once, or again after its worker was killed or has lost its lease."""
        for key, runs in self.runs.items():
            for unit in {run.unit for run in runs}:
                same = [run for run in runs if run.unit == unit]
                for run in same[:-1]:
                    again = run.pid in self.killed or key in self.lost
                    assert again, f"{key} has run {len(same)} times as {unit}"

    def check_orphans(self) -> None:
        """No child begins, or goes on, after its parent."""
        offset = time.time() - time.monotonic()
        for key, runs in self.runs.items():
            parent = self.executions.get(key.rpartition("/")[0].removesuffix("+2"))
            if parent is None or parent.completed_at is None:
                continue
            over = parent.completed_at.timestamp() - offset
            over = max(over, self.forest.done.get(key, 0))  # somebody has placed it anew
            for run in runs:
                assert run.begin < over + SOON, (
                    f"{key} began {run.begin - over} s after the end of its parent"
                )
                assert run.pid in self.killed or run.end < over + SOON, f"{key} outlives its parent"


@slow
@pytest.mark.parametrize("seed", SEEDS)
def test_trees_that_are_killed_and_interfered_with_are_kept_in_good_order(
    redis_url: str, tmp_path: Path, seed: int
) -> None:
    forest = Forest.grown(seed)

    async def live() -> Books:
        async with Docket(f"forest-{seed}", redis_url) as docket:
            for task in tasks:
                docket.register(task)
            with Workers(docket.name, redis_url, tmp_path) as workers:
                workers.start("asyncio")
                workers.start("trio")
                await forest.live(docket, workers)
                return await Books.kept(forest, docket, workers, tmp_path)

    books = anyio.run(live, backend="asyncio" if seed % 2 else "trio")
    books.check_trees()
    books.check_views()
    books.check_groups()
    books.check_runs()
    books.check_orphans()
