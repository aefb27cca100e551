"""What a parent knows of a group that it has open: who is under way, who has ended, why its block is to end early."""

from __future__ import annotations

import enum
import logging
import math
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import attrs

from ..clock import monotonic
from ..execution import Execution
from ..notification import Notification
from ..standins import redis_errors
from ..store import Groups, OpenGroup
from ..transport import faults, is_outage
from ..values import define

__all__ = ["Stop", "View", "insist"]

logger = logging.getLogger("docket.docket")

T = TypeVar("T")

#: After how many seconds children are looked at, whatever is heard; the pause grows where nothing is found. So becomes
#: known what was published while nobody listened, and whom pydocket's workers have ended.
FIRST_LOOK, LAST_LOOK = 1.0, 30.0

#: So many children a second are looked at, at most: a look takes a command for each that is under way.
LOOKED_AT = 1000


class Stop(enum.Enum):
    """Why a block is to end before its body does, or its children do."""

    FAILURE = "a child has failed for good"
    ASKED = "group.cancel()"
    DOOMED = "the group takes nobody any more: its parent is over, as others see it"


async def insist(ask: Callable[[], Awaitable[T]], most: float = math.inf) -> T:
    """Ask the server for what may be asked twice, again while it is away: for so many seconds, at most.

    Raises: RedisError - it refuses, or is still away then.
    """
    until = monotonic() + most
    while True:
        try:
            return await ask()
        except redis_errors.RedisError as error:
            if isinstance(error, faults.ClientClosed) or not is_outage(error) or monotonic() >= until:
                raise
        await anyio.sleep(random.uniform(0.1, 1))


@define(eq=False)
class View:
    """One open group, as its parent sees it. ``stop_body`` is called where the body is to be stopped.

    While the server is away, waiting goes on: for ``most_outage`` seconds.
    Children stay in ``under_way`` until their end is known: of every end that is so once the group `is_watched`.
    """

    groups: Groups
    group: OpenGroup
    stops_at_failure: bool
    stop_body: Callable[[], None]
    most_outage: float
    under_way: dict[str, Execution[Any]] = attrs.field(init=False, factory=dict[str, Execution[Any]])
    ended: dict[str, Execution[Any]] = attrs.field(init=False, factory=dict[str, Execution[Any]])
    """Those that nobody was given yet (`TaskGroup.results`), in the order of their ends."""
    stopped: Stop | None = attrs.field(init=False, default=None)
    is_cut_short: bool = attrs.field(init=False, default=False)
    """Whether its children are to be cancelled since the body has failed, or as the wait for them was interrupted."""
    is_watched: bool = attrs.field(init=False, default=False)
    _pause: float = attrs.field(init=False, default=FIRST_LOOK)
    _next_look: float = attrs.field(init=False)
    _news: Notification = attrs.field(init=False, factory=Notification)
    _deaf: Exception | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        # On memory:// nothing is missed, all who end children know of groups, and nothing polls (I10).
        first = math.inf if self.groups.client.is_memory else FIRST_LOOK * random.uniform(0.75, 1.25)
        self._next_look = monotonic() + first

    def stop(self, why: Stop) -> None:
        """Note why the block is to end early; the first reason counts."""
        if self.stopped is None:
            self.stopped = why
            self.stop_body()
            self.notify()

    def would_be_found(self) -> bool:
        """Whether a parent that begins anew would find the children: they are not being cancelled."""
        return self.stopped is None and not self.is_cut_short

    def note_end(self, key: str) -> None:
        """Note that a child has ended; without effect if that is known, or it is not one that was added here."""
        if (child := self.under_way.pop(key, None)) is not None:
            self.ended[key] = child

    def notify(self) -> None:
        """Let those who wait look again."""
        self._news.notify()

    def go_deaf(self, why: Exception) -> None:
        """Nothing more is heard, and that for good: the docket was left. Whoever waits is told why."""
        self._deaf = why
        self.notify()

    # what is heard ---------------------------------------------------------------------------------------

    async def tell(self, said: bytes | None) -> None:
        """Hear what was published about the group; None where some of it may have been missed. Raises: RedisError."""
        if said is None:
            await self.look()
            return
        word, _, key = said.decode(errors="replace").partition(" ")
        if word == "doomed":
            self.stop(Stop.DOOMED)
        else:
            self.note_end(key)
            if word == "failed" and self.stops_at_failure:
                self.stop(Stop.FAILURE)
        self.notify()

    async def look(self) -> None:
        """Ask the server how the group stands, for what was not heard. Raises: RedisError."""
        now = await self.groups.now(self.group)
        if self.is_watched and len(self.under_way) > now.under_way:
            await self.find_ended()
        if now.failed and self.stops_at_failure:
            self.stop(Stop.FAILURE)
        if not now.is_open:
            self.stop(Stop.DOOMED)
        self.notify()

    async def watch(self) -> None:
        """Have every end told from now on, and find out who has ended before. Raises: RedisError."""
        if not self.is_watched:
            await self.groups.watch(self.group)
            self.is_watched = True
            await self.find_ended()

    async def find_ended(self) -> None:
        if self.under_way:
            ended = await self.groups.ended(self.group)
            for key in [key for key in self.under_way if key in ended]:
                self.note_end(key)

    # waiting ---------------------------------------------------------------------------------------------

    async def insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """See `insist`."""
        return await insist(ask, self.most_outage)

    async def wait(self, is_over: Callable[[], Awaitable[bool]]) -> None:
        """Wait until that is so: it is asked again after all news, and after each look. Raises: RedisError."""
        while True:
            if self._deaf is not None:
                raise self._deaf
            seen = self._news.count
            if await is_over():
                return
            await self._news.wait_past(seen)

    async def tend(self) -> float:
        """Look at the children where that is due, whatever the body does.

        Returns in how many seconds the next is due. Raises: RedisError - an outage; then it is due still.
        """
        try:
            if monotonic() >= self._next_look:
                found = await self.groups.recheck(self.group)
                await self.look()
                longest = max(LAST_LOOK, len(self.under_way) / LOOKED_AT)
                self._pause = FIRST_LOOK if found else min(self._pause * 1.5, longest)
                self._next_look = monotonic() + self._pause * random.uniform(0.75, 1.25)
        except redis_errors.RedisError as error:
            if is_outage(error):
                raise
            logger.warning("Task group %s cannot be looked after: %s", self.group.id, error)
            return LAST_LOOK
        return max(0.0, self._next_look - monotonic())

    async def is_idle(self) -> bool:
        """Whether nobody is under way, as the server has it. Raises: RedisError."""
        if self.is_watched and self.under_way:
            return False  # it is told when they end
        return not await self.insist(lambda: self.groups.under_way(self.group))
