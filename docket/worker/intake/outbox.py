"""Ends of claims that leave together, in the step that takes the next tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from ...store import Again, Claims, Ended, Settled, Taken
from ...values import define
from ..roster import Roster, Running

__all__ = ["Outbox"]

#: Ends per script: they keep the server for one or two milliseconds, besides the tasks that it takes.
MOST = 50

#: The longest result, text of an error, or arguments of a next run that leaves with others: they would wait for it.
LONGEST = 64 * 1024


@define(eq=False)
class Outbox:
    """Takes ends of claims while the reader is about to take tasks, and writes them with that.

    It is open only then, so that no end waits for longer than the reader's next answer: a worker that has nothing to
    take writes each at once. ``settled`` is called with what was written; ``alone`` with each claim whose end was not,
    or may not have been: a task of its own writes it.
    """

    claims: Claims
    roster: Roster
    settled: Callable[[Running, Settled], None]
    alone: Callable[[Running], None]
    _is_open: bool = attrs.field(init=False, default=False)
    _ended: list[tuple[Running, Ended | Again]] = attrs.field(
        init=False, factory=list[tuple[Running, Ended | Again]]
    )

    def __len__(self) -> int:
        """How many claims have ended and only wait to be written."""
        return len(self._ended)

    @property
    def leaving(self) -> int:
        """How many of them the next take writes."""
        return min(len(self._ended), MOST)

    def open(self) -> None:
        """The reader takes next."""
        self._is_open = True

    def close(self) -> None:
        """The reader does something else next, or has ended."""
        self._is_open = False
        self.release()

    def release(self) -> None:
        """Have what has ended so far written at once."""
        ended, self._ended = self._ended, []
        for running, _ in ended:
            self.alone(running)

    def put(self, running: Running, ended: Ended | Again) -> bool:
        """Take over the end of a claim; False: it is to be written at once."""
        if not self._is_open or ended.size > LONGEST:
            return False
        self._ended.append((running, ended))
        self.roster.freed.notify()
        return True

    async def take(self, count: int, asked: str) -> Sequence[Taken]:
        """`Claims.take`, and write what has ended so far. Do not cancel. Raises: RedisError."""
        ended, self._ended = self._ended[:MOST], self._ended[MOST:]
        try:
            finals = [(running.delivery, how) for running, how in ended]
            taken, settled = await self.claims.take_settling(count, finals, asked=asked)
        except BaseException:
            for running, _ in ended:
                self.alone(running)
            raise
        for (running, _), result in zip(ended, settled, strict=True):
            if result is None:
                self.alone(running)
            else:
                self.settled(running, result)
        return taken
