"""What a running task needs of the worker that runs it, in order to wait for other tasks."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias

import attrs
from anyio import CancelScope, from_thread

from .clock import monotonic
from .dependencies import current_execution
from .rules import Priority
from .standins import redis_errors
from .store import DocketStore, Fence, Groups
from .transport import is_outage
from .values import define

__all__ = [
    "Host",
    "Keeping",
    "Parent",
    "Tell",
    "Tend",
    "current_host",
    "current_parent",
    "never",
    "parent_on",
    "seceded",
    "seceded_in_thread",
]

logger = logging.getLogger("docket.docket")

Tell: TypeAlias = Callable[["bytes | None"], Awaitable[None]]
"""Told what was published on a channel; None where something may have been missed. What it raises of Redis is put off:
it is told None again."""


Tend: TypeAlias = Callable[[], Awaitable[float]]
"""Does what is due, and returns in how many seconds it is to be called again; infinity is never."""


def never() -> bool:
    return False


@define(eq=False)
class Keeping:
    """Pushes back when what is known of the children of some groups expires, by their ids."""

    groups: Groups
    ids: list[str]
    _next: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._next = monotonic() + self._every()

    async def tend(self) -> float:
        """See `Tend`. Raises: RedisError - an outage; then it is due still."""
        if monotonic() >= self._next:
            for group_id in list(self.ids):
                await self._keep(group_id)
            self._next = monotonic() + self._every()
        return self._next - monotonic()

    async def _keep(self, group_id: str) -> None:
        try:
            await self.groups.keep(group_id)
        except redis_errors.RedisError as error:
            if is_outage(error):
                raise
            # Somebody keeps something else under one of its names, which harms no other group (I9).
            logger.warning("The children of task group %s cannot be kept: %s", group_id, error)
            self.ids.remove(group_id)

    def _every(self) -> float:
        every = self.groups.keep_every
        return math.inf if every is None else every.total_seconds()


class Parent(Protocol):
    """A running task, to those who wait in it."""

    @property
    def key(self) -> str: ...

    @property
    def fence(self) -> Fence:
        """Which claim of which delivery it is."""
        ...

    @property
    def goes_on_elsewhere(self) -> bool:
        """Whether it was stopped because it is to be run again, as the same attempt: handed back, put off, lost."""
        ...

    @property
    def holds(self) -> frozenset[str]:
        """The concurrency limits that it holds a slot of, and those that its parents do."""
        ...

    @property
    def priority(self) -> Priority:
        """Its level."""
        ...

    def open_group(self, name: str | None) -> str:
        """The place of the group that it opens now among its groups: the same in each delivery of the run.

        Raises: UsageError (a ValueError) - it would not be, for sure.
        """
        ...

    def left_group(self, place: str) -> None:
        """The group in this place was left. Idempotent."""
        ...

    def keep_children(self, group_id: str) -> None:
        """Have its worker keep what is known of the children of a group for as long as the run goes on.

        Where it is redelivered it asks for all of them, also of groups that it has left long ago.
        """
        ...

    def seceded(self, finds: Callable[[], bool] = never) -> AbstractAsyncContextManager[None]:
        """While it waits in here it does not count among those that its worker runs at a time (I14).

        It is left once there is a place to go on in; after a cancellation at once. It may be entered several times at
        a time: the task counts again when all are left. ``finds`` says whether it would find what it waits for where it
        is, if it began anew, as the children of a group; usually it would not. If it would of all that it waits for, a
        worker that drains hands it back at once, and not only at the deadline.
        """
        ...

    def patient(self, scope: CancelScope) -> AbstractContextManager[None]:
        """In here ``scope`` is cancelled once its worker waits no longer: it goes on elsewhere, or all is handed back.

        At once, if that is so already. For waits that are shielded.
        """
        ...

    async def follow(self, channel: str, tell: Tell) -> None:
        """Have ``tell`` called with what is published on a channel, until `unfollow`.

        Returns once the server has confirmed it, or it is known that the connection is lost: then it is told None as
        soon as there is another. Cancel: `unfollow` it.
        """
        ...

    def have_tended(self, channel: str, tend: Tend) -> None:
        """Have its worker tend to what goes on by a channel, from now on until `unfollow`, whatever the body does."""
        ...

    def unfollow(self, channel: str) -> None:
        """Hear no more of a channel. Never suspends; idempotent."""
        ...


class Host(Protocol):
    """A worker, to the tasks that it runs."""

    def parent(self, execution: Any) -> Parent | None:
        """The run of an execution, as long as its body runs here, in this thread."""
        ...


current_host: ContextVar[Host] = ContextVar("current_host")


def current_parent() -> Parent | None:
    """The task that is running here; None in a plain program."""
    host, execution = current_host.get(None), current_execution.get(None)
    return None if host is None or execution is None else host.parent(execution)


def parent_on(store: DocketStore) -> Parent | None:
    """The task of this docket that is running here; None in a plain program, and in a task of another docket."""
    parent = current_parent()
    if parent is None:
        return None
    own: DocketStore = current_execution.get().docket.store
    same = own.keys.prefix == store.keys.prefix and own.client.address == store.client.address
    return parent if same else None


@asynccontextmanager
async def seceded() -> AsyncGenerator[None]:
    """Let the worker run others while the task that is running here waits; nothing in a plain program."""
    parent = current_parent()
    if parent is None:
        yield
        return
    async with parent.seceded():
        yield


@contextmanager
def seceded_in_thread() -> Generator[None]:
    """The same where a plain function waits, in the thread that its worker has called it in."""
    parent: Parent | None = None
    if current_host.get(None) is not None:
        with suppress(RuntimeError):  # it has begun a thread of its own
            parent = from_thread.run_sync(current_parent)
    if parent is None:
        yield
        return
    aside = parent.seceded()
    from_thread.run(aside.__aenter__)
    try:
        yield
    finally:
        from_thread.run(aside.__aexit__, None, None, None)
