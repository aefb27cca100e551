"""Requests to the server whose answers were lost: the tasks they brought have a lease, but no worker runs them."""

from __future__ import annotations

import math
import secrets
from collections.abc import Generator
from contextlib import contextmanager

import attrs

from ...clock import monotonic
from ...values import define

__all__ = ["LostAnswers"]

#: How many seconds after a look the next one comes. Each further pause is twice as long. One look is not enough: a
#: server may execute a request after its connection was lost, and hand tasks out to a client that is gone.
FIRST_PAUSE = 0.25


@define(eq=False)
class LostAnswers:
    """Names the requests of one reader, and schedules the looks for tasks of lost answers.

    A name is not used by any other process, nor by another worker with the same name. A request is remembered for
    ``memory`` seconds; by then its tasks are redelivered.
    """

    memory: float
    _process: str = attrs.field(init=False, factory=lambda: secrets.token_hex(4))
    _count: int = attrs.field(init=False, default=0)
    _lost_at: dict[str, float] = attrs.field(init=False, factory=dict[str, float])
    _pause: float = attrs.field(init=False, default=FIRST_PAUSE)
    _look_at: float = attrs.field(init=False, default=math.inf)

    @contextmanager
    def request(self) -> Generator[str]:
        """Yield the name for a request that is sent in this block. If it raises, the answer counts as lost."""
        self._count += 1
        name = f"{self._process}.{self._count}"
        try:
            yield name
        except BaseException:
            self.lost(name)
            raise

    def lost(self, name: str) -> None:
        """Note that the answer to ``name`` was lost: look at once, and again while the server may still execute it."""
        self._lost_at[name] = self._look_at = monotonic()
        self._pause = FIRST_PAUSE

    def found(self, name: str) -> None:
        """Note that the answer to ``name`` is known after all."""
        self._lost_at.pop(name, None)

    def seconds_to_look(self) -> float:
        """How long to wait for the next look; infinity if no answer is lost."""
        return max(0.0, self._look_at - monotonic()) if self._lost_at else math.inf

    @property
    def is_look_due(self) -> bool:
        return not self.seconds_to_look()

    def names(self) -> list[str]:
        """The requests whose answers are lost. Forgets those that are too old."""
        now = monotonic()
        self._lost_at = {name: at for name, at in self._lost_at.items() if now - at <= self.memory}
        return list(self._lost_at)

    def looked(self) -> None:
        """Note that the tasks of the lost answers were looked for."""
        self._look_at = monotonic() + self._pause
        self._pause *= 2
