"""How much is on a docket, and lists of it, page by page."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, Literal, get_args

from ..client import TaskFunction
from ..errors import UsageError
from ..execution import Execution
from ..numbers import check_whole, spelled
from ..snapshot import mark_paused
from ..store import Counts, DeadLetter, DocketStore
from ..values import frozen
from .named import asked_task

__all__ = ["Counts", "DeadLetter", "DocketLists", "Page", "WaitingState"]

WaitingState = Literal["due", "later", "running", "limited", "paused"]
"""``due``: waits for a worker; ``later``: for its time; ``limited``: for a concurrency limit; ``paused``: for its task
to be resumed. Where all tasks are paused what is due stays so."""

MOST_LISTED = 1000


@frozen(kw_only=True)
class Page:
    """Some of a list. ``after`` is where the next ones begin, None at its end.

    ``looked_at`` is how many entries were looked at for this page, ``total`` how many the list has in all.
    """

    executions: Sequence[Execution[Any]]
    after: str | None
    looked_at: int
    total: int


class DocketLists(abc.ABC):
    """The part of a `Docket` that counts and lists what is on it. No call reads all of a large docket."""

    @property
    @abc.abstractmethod
    def store(self) -> DocketStore: ...

    async def counts(self) -> Counts:
        """How much is on the docket: some twenty commands, whatever that is."""
        return await self.store.listing.counts()

    async def executions(
        self,
        state: WaitingState,
        *,
        task: TaskFunction | str | None = None,
        contains: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """What is in one state, the next to begin first; of one ``task``, or with ``contains`` in its key.

        Each says what `get_execution` says, but for its progress. One call looks at 10,000 entries at most, and says
        how many (``looked_at``): a filtered page may be short, or empty, and have an ``after`` all the same. Case does
        not matter to ``contains``.
        Raises: UsageError (a ValueError) - an unknown state, a ``limit`` outside 1..1000, an ``after`` of no page, a
        name of a task that is none; TypeError.
        """
        if state not in get_args(WaitingState):
            words = ", ".join(map(repr, get_args(WaitingState)))
            raise UsageError(f"state takes {words}, not {spelled(state)}")
        check_whole("limit", limit, most=MOST_LISTED)
        function = asked_task(task)
        if contains is not None and not isinstance(contains, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"contains takes a part of a key, not {type(contains).__name__}")
        if after is not None and not isinstance(after, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"after takes what the page before has there, not {spelled(after)}")
        part = contains.casefold() if contains else ""

        def wanted(name: str, key: str) -> bool:
            return (function is None or name == function) and part in key.casefold()

        listing = self.store.listing
        read = {
            "due": listing.due,
            "later": listing.later,
            "running": listing.running,
            "limited": listing.limited,
            "paused": listing.paused,
        }[state]
        listed = await read(wanted if function is not None or part else None, limit, after or "")
        docket: Any = self  # the Docket of which this is a part
        executions = [Execution.of_entry(docket, entry) for entry in listed.entries]
        if executions and state == "running":
            alive = await self.store.liveness.names()
            for execution in executions:
                execution.worker_is_gone = execution.worker not in alive
        elif executions:
            mark_paused(executions, await self.store.pauses.names())
        return Page(
            executions=executions,
            after=listed.after,
            looked_at=listed.looked_at,
            total=listed.total,
        )

    async def dead_letters(
        self, *, limit: int = 50, before: str | None = None
    ) -> tuple[list[DeadLetter], int]:
        """Deliveries that could not be read and were set aside, the newest first, and how many there are.

        ``before`` is the ``entry`` of the last one of the page before. Raises: UsageError (a ValueError).
        """
        check_whole("limit", limit, most=MOST_LISTED)
        return await self.store.dead_letters.newest(limit, before or "")
