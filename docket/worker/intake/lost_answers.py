"""Questions for tasks whose answers were lost: what they brought has a lease, and nobody who knows of it."""

from __future__ import annotations

import math
import secrets
from collections.abc import Generator
from contextlib import contextmanager

import attrs

from ...clock import monotonic

__all__ = ["LostAnswers"]

#: How many seconds after a look the next one comes, which waits for twice as long, and so on: a server may come to what
#: it was asked after the connection was lost, and hands out to one that it does not know to be lost.
FIRST_PAUSE = 0.25


@attrs.define(eq=False)
class LostAnswers:
    """The questions of one reader by name, and when to look for what those have brought of which it did not hear.

    Names are told from those of every other process, also one of the same worker. A question is remembered for
    ``memory`` seconds; by then what it brought is redelivered.
    """

    memory: float
    _process: str = attrs.field(init=False, factory=lambda: secrets.token_hex(4))
    _count: int = attrs.field(init=False, default=0)
    _since: dict[str, float] = attrs.field(init=False, factory=dict[str, float])
    _pause: float = attrs.field(init=False, default=FIRST_PAUSE)
    _look_at: float = attrs.field(init=False, default=math.inf)

    @contextmanager
    def asking(self) -> Generator[str]:
        """Ask by the name that this gives. A question that ends by an exception is one whose answer was lost."""
        self._count += 1
        name = f"{self._process}.{self._count}"
        try:
            yield name
        except BaseException:
            self.lost(name)
            raise

    def lost(self, name: str) -> None:
        """Have looked for what the question ``name`` has brought: at once, and again for as long as it may yet come."""
        self._since[name] = self._look_at = monotonic()
        self._pause = FIRST_PAUSE

    def heard(self, name: str) -> None:
        """Take back that the answer was lost: it was heard after all."""
        self._since.pop(name, None)

    def seconds(self) -> float:
        """How long to wait for the next look; infinity where nothing is unheard."""
        return max(0.0, self._look_at - monotonic()) if self._since else math.inf

    def questions(self) -> list[str]:
        """Those whose answers were lost, for a look now."""
        now = monotonic()
        self._since = {name: since for name, since in self._since.items() if now - since <= self.memory}
        return list(self._since)

    def looked(self) -> None:
        """Note that it was looked for what the questions had brought by now."""
        self._look_at = monotonic() + self._pause
        self._pause *= 2
