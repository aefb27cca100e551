"""Whatever is done to a key in whatever order: at most one successor, with the last arguments, and none is lost."""

from __future__ import annotations

import random
from datetime import timedelta

import attrs
import pytest

from docket.rules import Cancellation, Disposition
from docket.store import Again, Delivery, Ended, Settled
from tests.store.conftest import PAST, Store
from tests.store.test_once_more import call, kept, once_more

pytestmark = pytest.mark.anyio

STEPS = 60


@attrs.define
class Model:
    """What is to become of one key."""

    waits: bytes | None = None
    """What waits, or runs."""
    begun: bool = False
    """Whether it gives way to no other call."""
    running: Delivery | None = None
    successor: bytes | None = None

    def ended(self) -> None:
        self.waits, self.successor = self.successor, None
        self.begun, self.running = False, None


class Key:
    """The key ``k`` on a server, and what is to become of it."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self.store, self.chance, self.model = store, chance, Model()
        self.last = 0

    def _next(self) -> str:
        self.last += 1
        return str(self.last)

    async def once_more(self) -> None:
        model, args = self.model, self._next()
        placed = await once_more(self.store, args)
        if model.begun:
            assert placed.disposition is Disposition.ONCE_MORE
            model.successor = args.encode()
        else:
            assert placed.disposition is Disposition.SCHEDULED
            model.waits = args.encode()

    async def add(self) -> None:
        args = self._next()
        placed = await self.store.schedule.place(call(args), replace=False)
        if self.model.waits is None:
            assert placed.disposition is Disposition.SCHEDULED
            self.model.waits = args.encode()
        else:
            assert placed.disposition is Disposition.ALREADY_SCHEDULED

    async def replace(self) -> None:
        args, before = self._next(), self.model.running
        await self.store.schedule.place(call(args), replace=True)
        self.model = Model(waits=args.encode())
        if before is not None:
            assert await self.store.claims().settle(before, Ended("completed")) is Settled.SUPERSEDED

    async def take(self) -> None:
        model = self.model
        if model.running is not None:
            return
        taken = await self.store.claims().take(10)
        if model.waits is None:
            assert taken == []
            return
        (delivery,) = taken
        assert isinstance(delivery, Delivery)
        assert delivery.message.args == model.waits
        model.running, model.begun = delivery, True

    async def end(self) -> None:
        if self.model.running is not None:
            ended = Ended(self.chance.choice(("completed", "failed", "cancelled")))
            assert await self.store.claims().settle(self.model.running, ended) is Settled.OK
            self.model.ended()

    async def go_on(self) -> None:
        """As a chain does."""
        if (running := self.model.running) is not None:
            following = attrs.evolve(running.message, args=self._next().encode(), when=PAST)
            again = Again(following, ended=Ended("completed"))
            settled = await self.store.claims().reschedule(running, again)
            if settled is Settled.ASKED:
                await self.store.claims().settle(running, Ended("cancelled"))
                self.model.ended()
                return
            self.model.successor = self.model.successor or following.args
            self.model.ended()
            if self.model.waits == following.args:
                self.model.begun = True  # it has been due for long

    async def try_again(self) -> None:
        if (running := self.model.running) is not None:
            again = Again(attrs.evolve(running.message, attempt=2, when=PAST), tried="why")
            if await self.store.claims().reschedule(running, again) is Settled.ASKED:
                await self.store.claims().settle(running, Ended("cancelled"))
                self.model.ended()
            else:
                self.model.running = None

    async def is_lost(self) -> None:
        """Its worker dies, and another one takes it over."""
        if (running := self.model.running) is not None:
            (taken,) = await self.store.claims("v").take_over([running.message_id], timedelta(0))
            (taken,) = await self.store.claims("w").take_over([running.message_id], timedelta(0))
            assert isinstance(taken, Delivery)
            assert taken.message.args == self.model.waits
            self.model.running = taken

    async def cancel(self) -> None:
        model = self.model
        found = await self.store.schedule.cancel("k")
        if model.running is not None:
            assert found is Cancellation.REQUESTED
            model.successor = None
        elif model.waits is not None:
            assert found is Cancellation.CANCELLED
            self.model = Model()

    async def clear(self) -> None:
        model = self.model
        count = await self.store.schedule.clear(10)
        assert count == (model.waits is not None and model.running is None) + (model.successor is not None)
        if model.running is None:
            self.model = Model()
        else:
            model.successor = None

    async def step(self) -> None:
        often = [self.once_more, self.take, self.end]
        seldom = [self.add, self.replace, self.go_on, self.try_again, self.is_lost, self.cancel, self.clear]
        await self.chance.choice(often if self.chance.random() < 0.6 else seldom)()
        assert len(await kept(self.store)) == 2 * (self.model.successor is not None)


@pytest.mark.parametrize("seed", range(25))
async def test_at_most_one_successor_with_the_last_arguments_and_none_is_lost(
    store: Store, seed: int
) -> None:
    await store.claims().create_group()
    key = Key(store, random.Random(seed))
    for _ in range(STEPS):
        await key.step()
    while key.model.waits is not None:
        await key.take()
        await key.end()
    await key.take()
    assert await store.client.xlen("d:stream") == 0
    assert await kept(store) == []
