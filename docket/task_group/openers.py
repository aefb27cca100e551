"""Who opens a group: a running task, which goes on elsewhere if it must, or a plain program, which has a lease."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Protocol

import anyio
import attrs
from anyio.abc import TaskGroup as Nursery

from ..errors import ExecutionCancelled
from ..parenthood import Keeping, Parent, Tend
from ..rules import Priority
from ..standins import redis_errors
from ..store import DocketStore, GroupLost, OpenGroup
from ..transport import Subscription, faults
from ..values import define
from .view import View, insist

__all__ = ["DOOMED_LOOK", "PROGRAM_LEASE", "Opener", "Program", "RunningTask"]

logger = logging.getLogger("docket.docket")

#: For how long the children of a plain program go on without a sign of it, and how often in that time it gives one.
PROGRAM_LEASE = timedelta(seconds=30)
SIGNS = 3

#: When workers look whether the task that has opened a group is there still; and when they go on with a doomed group.
TASK_LOOK = timedelta(minutes=1)
DOOMED_LOOK = timedelta(seconds=10)


_DOCKET_LEFT = (
    "the docket was left while this task group was open, so that it hears nothing of its children, and they are "
    "cancelled: leave its block first, as in `async with docket, docket.task_group() as group:`"
)


class Opener(Protocol):
    """Who has opened a group, to the group."""

    most_outage: float
    """For how many seconds it waits for a server that is away."""

    @property
    def held(self) -> frozenset[str]:
        """The concurrency limits that it holds a slot of while it waits."""
        ...

    @property
    def priority(self) -> Priority:
        """The level of children that have none of their own."""
        ...

    @property
    def goes_on_elsewhere(self) -> bool:
        """Whether another worker is to run it anew: the children are for that one."""
        ...

    async def open(self) -> OpenGroup:
        """Open the group. Raises: ExecutionCancelled - another run has its place; RedisError."""
        ...

    async def listen(self, view: View) -> None:
        """Have the view told what is published from now on, once it has begun. Raises: RedisError."""
        ...

    async def begin(self, view: View) -> None:
        """Begin to tell, and to tend to the children. It never suspends, so no cancellation comes out (I6)."""
        ...

    async def stop_listening(self) -> None:
        """Tell nothing more; without effect if it does not listen."""
        ...

    def stepping_aside(self, view: View) -> AbstractAsyncContextManager[None]:
        """In there it waits for others, and holds none of its worker's places (I14)."""
        ...

    def patient(self, scope: anyio.CancelScope) -> AbstractContextManager[object]:
        """In there the scope is cancelled where its worker cannot wait any longer."""
        ...


@define(eq=False)
class RunningTask:
    """A running task. Its worker listens for it; the lease of its delivery is that of its groups."""

    store: DocketStore
    parent: Parent
    name: str | None = None
    most_outage: float = math.inf  # its worker stops it where its lease is lost
    _channel: str | None = attrs.field(init=False, default=None)
    _place: str = attrs.field(init=False, default="")

    @property
    def held(self) -> frozenset[str]:
        return self.parent.holds

    @property
    def priority(self) -> Priority:
        return self.parent.priority

    @property
    def goes_on_elsewhere(self) -> bool:
        return self.parent.goes_on_elsewhere

    async def open(self) -> OpenGroup:
        parent, groups = self.parent, self.store.groups
        self._place = place = parent.open_group(self.name)
        try:
            return await insist(lambda: groups.open(parent.key, place, parent.fence, look_after=TASK_LOOK))
        except GroupLost:
            raise ExecutionCancelled(
                f"another run has taken the place of this one under the key {parent.key!r}: it opens no task group"
            ) from None
        except BaseException:
            parent.left_group(place)
            raise

    async def listen(self, view: View) -> None:
        self._channel = self.store.keys.group(view.group.id)
        await self.parent.follow(self._channel, view.tell)  # from the first moment on

    async def begin(self, view: View) -> None:
        assert self._channel is not None
        self.parent.have_tended(self._channel, view.tend)
        self.parent.keep_children(view.group.id)

    async def stop_listening(self) -> None:
        self.parent.left_group(self._place)
        if self._channel is not None:
            self.parent.unfollow(self._channel)

    def stepping_aside(self, view: View) -> AbstractAsyncContextManager[None]:
        return self.parent.seceded(view.would_be_found)

    def patient(self, scope: anyio.CancelScope) -> AbstractContextManager[object]:
        return self.parent.patient(scope)


@define(eq=False)
class Program:
    """A plain program. While the block is open a nursery of its own listens, and renews the lease of the group.

    These tasks are shielded: the block is left in order whatever scope around it was cancelled.
    """

    store: DocketStore
    most_outage: float = PROGRAM_LEASE.total_seconds()
    held: frozenset[str] = frozenset()
    priority: Priority = Priority.NORMAL
    goes_on_elsewhere: bool = False
    _nursery: Nursery | None = attrs.field(init=False, default=None)
    _subscription: Subscription | None = attrs.field(init=False, default=None)
    _scopes: list[anyio.CancelScope] = attrs.field(init=False, factory=list[anyio.CancelScope])
    _ended: list[anyio.Event] = attrs.field(init=False, factory=list[anyio.Event])

    async def open(self) -> OpenGroup:
        # In this process no lease ends: there a group that nobody has heard of would stay for ever.
        groups = self.store.groups
        group: OpenGroup | None = None
        with anyio.CancelScope(shield=self.store.client.is_memory):
            group = await groups.open("", "1", None, look_after=PROGRAM_LEASE)
        assert group is not None  # nobody cancels the scope
        return group

    async def listen(self, view: View) -> None:
        self._subscription = subscription = self.store.subscriptions.new(self.store.keys.group(view.group.id))
        await subscription.begin()

    async def begin(self, view: View) -> None:
        subscription = self._subscription
        assert subscription is not None
        nursery = anyio.create_task_group()
        await nursery.__aenter__()  # suspends on no loop
        self._nursery = nursery
        self._start(nursery, lambda: _hear(subscription, view))
        self._start(nursery, lambda: _tend(view.tend))
        self._start(nursery, lambda: _tend(Keeping(view.groups, [view.group.id]).tend))
        if not self.store.client.is_memory:
            self._start(nursery, lambda: self._renew(view))

    def _start(self, nursery: Nursery, run: Callable[[], Awaitable[None]]) -> None:
        scope, ended = anyio.CancelScope(shield=True), anyio.Event()
        self._scopes.append(scope)
        self._ended.append(ended)

        async def shielded() -> None:
            try:
                with scope:
                    await run()
            finally:
                ended.set()

        nursery.start_soon(shielded)

    async def _renew(self, view: View) -> None:
        while True:
            await anyio.sleep(PROGRAM_LEASE.total_seconds() / SIGNS)
            try:
                if not await self.store.groups.renew(view.group, PROGRAM_LEASE):
                    await view.look()
            except redis_errors.RedisError as error:
                logger.debug("The lease of a task group was not renewed: %s", error)

    async def stop_listening(self) -> None:
        nursery, self._nursery = self._nursery, None
        if self._subscription is not None:
            self._subscription.end()
        if nursery is None:
            return
        for scope in self._scopes:
            scope.cancel()
        with anyio.CancelScope(shield=True):
            for ended in self._ended:
                await ended.wait()
        await nursery.__aexit__(None, None, None)

    def stepping_aside(self, view: View) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def patient(self, scope: anyio.CancelScope) -> AbstractContextManager[object]:
        return nullcontext()


async def _tend(tend: Tend) -> None:
    pause = 0.0
    while pause < math.inf:
        await anyio.sleep(pause)
        pause = await insist(tend)


async def _hear(subscription: Subscription, view: View) -> None:
    """Tell the view what is published, also after lost connections."""

    async def begin_anew() -> None:
        await subscription.begin()
        await view.tell(None)

    while True:
        try:
            said = await subscription.receive()
        except faults.ClientClosed:
            view.go_deaf(faults.ClientClosed(_DOCKET_LEFT))
            return
        except (redis_errors.ConnectionError, redis_errors.TimeoutError):
            await insist(begin_anew)
        else:
            await view.tell(said)
