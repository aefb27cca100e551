"""Random trees of task groups, with random ends, redeliveries and strangers: the groups, the records and what was
published agree after each step, and nothing is left at the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

import attrs
import pytest

from docket.store import Again, ByHand, Delivery, Ended, GroupLost, InGroup, OpenGroup
from tests.store.conftest import FUTURE, Heard, Store, message
from tests.store.groups import LOOK, PARENT

pytestmark = pytest.mark.anyio

STEPS = 120
WORKERS = ("v", "w")
SCORES = {"completed": 1, "cancelled": 0, "failed": -1}


@attrs.define(eq=False)
class Running:
    """A delivery that a worker has, and the groups that its body has opened."""

    delivery: Delivery
    opened: int = 0


class Tree:
    """What one test does to a docket, and what it knows of it."""

    def __init__(self, store: Store, heard: Heard, seed: int) -> None:
        self.store, self.heard, self.random = store, heard, random.Random(seed)
        self.program: OpenGroup | None = None
        self.running: list[Running] = []
        self.over: list[Delivery] = []
        self.groups: list[OpenGroup] = []
        self.keys: list[str] = []
        self.known: dict[tuple[str, str], float] = {}
        self.failed: Counter[str] = Counter()
        self.strangers: set[str] = set()
        self.may_run_again: set[str] = set()

    async def begin(self) -> None:
        for worker in WORKERS:
            await self.store.claims(worker).create_group()
        self.program = await self.store.groups.open("", "1", None, look_after=LOOK)
        self.groups.append(self.program)
        for _ in range(3):
            await self.add()

    # steps -----------------------------------------------------------------------------------------------------

    async def step(self) -> None:
        steps: list[Callable[[], Awaitable[None]]] = [
            self.add, self.add, self.add, self.add_again, self.take, self.take, self.take, self.open, self.open,
            self.end, self.end, self.end_again, self.go_on, self.take_over, self.cancel, self.replace, self.by_hand,
            self.stranger, self.look, self.cancel_group, self.close, self.clear, self.move,
        ]  # fmt: skip
        await self.random.choice(steps)()

    async def add(self) -> None:
        group, key = self.random.choice(self.groups[-6:]), f"k{len(self.keys)}"
        is_open = (await self.store.groups.now(group)).is_open
        sent = message(key, FUTURE) if self.random.random() < 0.3 else message(key)
        placed = await self.store.schedule.place(sent, replace=False, child_of=group.id)
        assert placed.in_group == (None if is_open else InGroup.CLOSED)  # I12
        if is_open:
            self.keys.append(key)

    async def add_again(self) -> None:
        if self.keys:
            group, key = self.random.choice(self.groups), self.random.choice(self.keys)
            before = await self.store.client.zscore(self.store.keys.group(group.id), key)
            is_open = (await self.store.groups.now(group)).is_open
            state = await self.store.client.hget(f"d:runs:{key}", "state")
            if before is None and state is not None and state.decode() in SCORES:
                return  # the key would begin anew
            placed = await self.store.schedule.place(message(key), replace=False, child_of=group.id)
            if is_open:
                assert placed.in_group == (None if before is None else InGroup.MEMBER)
            assert (
                await self.store.client.zscore(self.store.keys.group(group.id), key) == before
                or before is None
            )

    async def take(self) -> None:
        worker = self.random.choice(WORKERS)
        taken = await self.store.claims(worker).take(self.random.choice((1, 2)))
        self.running += [Running(one) for one in taken if isinstance(one, Delivery)]

    async def open(self) -> None:
        if self.running:
            parent = self.random.choice(self.running)
            key, fence = parent.delivery.message.key, parent.delivery.fence
            try:
                group = await self.store.groups.open(key, str(parent.opened + 1), fence, look_after=LOOK)
            except GroupLost:
                return
            parent.opened += 1
            if group not in self.groups:
                self.groups.append(group)

    def some(self) -> Delivery | None:
        if not self.running:
            return None
        one = self.running.pop(self.random.randrange(len(self.running)))
        self.over.append(one.delivery)
        return one.delivery

    async def end(self) -> None:
        if (one := self.some()) is not None:
            await self.write_end(one)

    async def end_again(self) -> None:
        """The answer was lost; or it is a claim that another worker has by now."""
        if self.over:
            await self.write_end(self.random.choice(self.over[-5:]))

    async def write_end(self, one: Delivery) -> None:
        claims, ended = self.store.claims(one.fence.holder), Ended(self.random.choice(list(SCORES)))
        if self.random.random() < 0.5:
            await claims.settle(one, ended)
        else:
            taken, _ = await claims.take_settling(1, [(one, ended)])
            self.running += [Running(each) for each in taken if isinstance(each, Delivery)]

    async def go_on(self) -> None:
        """A retry, a run that is put off, a run that is handed back."""
        if (one := self.some()) is not None:
            claims = self.store.claims(one.fence.holder)
            match self.random.randrange(3):
                case 0:
                    await claims.reschedule(one, Again(one.message, tried="ValueError"))
                case 1:
                    await claims.reschedule(one, Again(one.message, same=True))
                case _:
                    await claims.hand_back(one)

    async def take_over(self) -> None:
        """The worker of a run has died; sometimes it lives on, and does not know."""
        if self.running:
            one = self.random.choice(self.running)
            other = "w" if one.delivery.fence.holder == "v" else "v"
            taken = await self.store.claims(other).take_over([one.delivery.message_id], timedelta(0))
            if self.random.random() < 0.5:
                self.running.remove(one)
            self.running += [Running(each) for each in taken if isinstance(each, Delivery)]

    async def cancel(self) -> None:
        if self.keys:
            await self.store.schedule.cancel(self.random.choice(self.keys[-8:]))

    async def replace(self) -> None:
        if self.keys and self.random.random() < 0.3:
            await self.store.schedule.place(message(self.random.choice(self.keys[-8:])), replace=True)

    async def clear(self) -> None:
        if self.random.random() < 0.1:
            await self.store.schedule.clear(100)

    async def by_hand(self) -> None:
        if self.keys and self.random.random() < 0.3:
            by_hand = ByHand(self.store.client, self.store.keys, self.store.ttl)
            key = self.random.choice(self.keys[-8:])
            if await self.store.client.hget(f"d:runs:{key}", "state") == b"running":
                self.may_run_again.add(key)  # a redelivery runs it
            await by_hand.conclude(key, 0, None, state="failed", error="why")

    async def stranger(self) -> None:
        """Somebody who knows of no groups ends a run: its groups and the one it is in find that out later."""
        if (one := self.some()) is not None:
            key = one.message.key
            if await self.store.client.hget(f"d:runs:{key}", "claim") == b"%b.%d" % (
                one.message_id,
                one.fence.claim,
            ):
                await self.store.client.hset(f"d:runs:{key}", "state", self.random.choice(list(SCORES)))
                await self.store.client.xack("d:stream", "docket-workers", one.message_id)
                await self.store.client.xdel("d:stream", one.message_id)
                self.strangers.add(key)

    async def move(self) -> None:
        for key, _ in (await self.store.client.zrange("d:queue", 0, 0, withscores=True)) or ():
            await self.store.client.zadd("d:queue", {key: 1})
            await self.store.due.move(1)

    async def look(self) -> None:
        """A worker looks after groups, and parents at their children."""
        for group in await self.store.groups.due(3):
            await self.store.groups.look_after(group, LOOK)
        group = self.random.choice(self.groups)
        await self.store.groups.recheck(group)
        for key in await self.store.client.zrange(self.store.keys.group(group.id), 0, -1):
            if await self.store.client.hget(b"d:runs:" + key, "group") == group.id.encode():
                self.strangers.discard(key.decode())

    async def cancel_group(self) -> None:
        group = self.random.choice(self.groups)
        if group is not self.program:
            await self.store.groups.cancel(group, LOOK)

    async def close(self) -> None:
        group = self.random.choice(self.groups)
        if group is not self.program:
            await self.store.groups.close(group)

    # what holds ------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        client = self.store.client
        listed = {name.decode().split()[0] for name in await client.zrange("d:groups", 0, -1)}
        for group in self.groups:
            name = self.store.keys.group(group.id)
            members = {
                key.decode(): score
                for key, score in await client.zrange(name, 0, -1, withscores=True)
                if score != PARENT
            }
            if members:
                own = members.pop("")
                assert own in (-5, 3, -4, -6)
                assert group.id in listed or await client.pttl(name) > 0  # I15
                if own in (-5, 3):
                    assert group.id in listed
            for key, score in members.items():
                await self.check_child(group, key, score)
        await self.hear()

    async def check_child(self, group: OpenGroup, key: str, score: float) -> None:
        before = self.known.get((group.id, key), 2)
        assert before >= 2 or before == score  # I11: once
        self.known[group.id, key] = score
        state, of = (await self.store.client.hmget(f"d:runs:{key}", "state", "group"))[:2]
        if key in self.strangers or key in self.may_run_again:
            return
        if of == group.id.encode():
            assert state is not None
            if score >= 2:
                assert state in (b"scheduled", b"queued", b"running")
            else:
                assert SCORES.get(state.decode()) == score
        else:
            assert score < 2

    async def hear(self) -> None:
        for channel, said in await self.heard.all():
            if channel.startswith("d:group:"):
                word, _, key = said.partition(" ")
                if word == "failed":
                    self.failed[f"{channel} {key}"] += 1
        assert not [each for each, count in self.failed.items() if count > 1]

    async def finish(self) -> None:
        """The program is gone, workers do what they are asked to, and look after what is due."""
        store = self.store
        for _ in range(100):
            members = await store.client.zrange("d:groups", 0, -1)
            if not members:
                break
            await store.client.zadd("d:groups", dict.fromkeys(members, 1))
            for group in await store.groups.due(1000):
                await store.groups.look_after(group, LOOK)
            for worker in WORKERS:
                pending = [each.message_id for each in await store.claims(worker).sweeping.look()]
                for one in await store.claims(worker).take_over(pending, timedelta(0)) if pending else ():
                    if isinstance(one, Delivery):
                        await store.claims(worker).settle(one, Ended("cancelled"))
                for one in await store.claims(worker).take(100):
                    if isinstance(one, Delivery):
                        await store.claims(worker).settle(one, Ended("completed"))
        await self.hear()
        assert await store.client.zcard("d:groups") == 0
        for group in self.groups:
            name = store.keys.group(group.id)
            assert await store.client.zcount(name, 2, 2.5) == 0
            assert await store.client.pttl(name) > 0
            failed = {each for each in self.failed if each.startswith(f"{name} ")}
            assert failed == {f"{name} {key}" for key in await store.groups.failed(group, 1000)}


@pytest.mark.parametrize("seed", range(5))
async def test_groups_records_and_what_was_published_agree(store: Store, heard: Heard, seed: int) -> None:
    tree = Tree(store, heard, seed)
    await tree.begin()
    for _ in range(STEPS):
        await tree.step()
        await tree.check()
    await tree.finish()
    await tree.check()
