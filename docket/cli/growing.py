"""Follows the tree of a run: reads it again when something in it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import attrs
from redis.exceptions import ConnectionError, TimeoutError

from ..operating import Tree
from ..rules import FINAL
from ..values import define

if TYPE_CHECKING:
    from ..docket import Docket
    from ..transport import Subscription

__all__ = ["Growing"]

#: How much of a tree is followed: levels, children of each group, runs and groups in all.
DEPTH, CHILDREN, MOST = 3, 10, 60

#: How often it looks for what nobody tells - children of runs that are not shown, new groups -, and at most.
LOOK_SECONDS, SOONEST = 2.0, 0.25


@define(eq=False)
class Growing:
    """The tree of one run; ``tell`` is called with each reading of it that differs from the one before."""

    docket: Docket
    key: str
    tell: Callable[[Tree], None]
    _tree: Tree | None = attrs.field(init=False, default=None)
    _subscription: Subscription | None = attrs.field(init=False, default=None)
    _followed: frozenset[str] = attrs.field(init=False, default=frozenset())

    async def run(self) -> None:
        """Follow it until the caller has enough. While the server is away nothing is told."""
        try:
            while True:
                try:
                    await self._step()
                except (ConnectionError, TimeoutError):
                    self._unfollow()
                    await anyio.sleep(LOOK_SECONDS)
        finally:
            self._unfollow()

    async def look(self) -> None:
        """Read it now, and tell if it has changed. Raises: RedisError."""
        tree = await self.docket.tree(self.key, depth=DEPTH, limit=CHILDREN, most=MOST)
        if tree is not None and tree.run.has_children and tree != self._tree:
            self._tree = tree
            self.tell(tree)

    async def _step(self) -> None:
        await self.look()
        if await self._follow():
            await self.look()  # what happened before it was followed
        await anyio.sleep(SOONEST)
        with anyio.move_on_after(LOOK_SECONDS):
            await self._news()
        with anyio.move_on_after(0):
            while True:  # what came together is looked at once
                await self._news()

    async def _news(self) -> None:
        if self._subscription is None:
            await anyio.sleep_forever()
        else:
            await self._subscription.receive()

    async def _follow(self) -> bool:
        """Hear of all runs and groups that are shown and go on; whether these are others than before."""
        wanted = self._channels()
        if wanted == self._followed:
            return False
        self._unfollow()
        if wanted:
            self._subscription = self.docket.store.subscriptions.new(*wanted)
            await self._subscription.begin()
        self._followed = wanted
        return True

    def _channels(self) -> frozenset[str]:
        if self._tree is None:
            return frozenset()
        keys, runs = self.docket.keys, [*self._tree.runs()]
        states = {keys.state_channel(run.key) for run in runs if run.state not in FINAL}
        groups = {keys.group(each.id) for run in runs for each in run.groups if each.under_way}
        return frozenset(states | groups)

    def _unfollow(self) -> None:
        if self._subscription is not None:
            self._subscription.end()
        self._subscription, self._followed = None, frozenset()
