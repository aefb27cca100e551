"""What happens on dockets and workers, told to those who want to know; telemetry hears everything from here.

The rooms say what happens as it does::

    for each in signals.subscribers:
        with unfailing:
            each.cancelled(docket.name, 1)

and put what takes its time inside of an operation::

    with signals.operation("docket.cancel", labels) as operation:
        ...

What a subscriber raises is logged, and harms nobody (I9).
Where nobody subscribes the first costs a look at an empty list, and the second a call that returns `UNHEARD`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TypeAlias

__all__ = ["UNHEARD", "Labels", "Operation", "Signals", "Subscriber", "Tracer", "signals", "unfailing"]

logger = logging.getLogger("docket")

Labels: TypeAlias = Mapping[str, "str | int"]


class Subscriber:
    """Hears what happens. Its methods do nothing until a subclass says otherwise.

    They are called on the event loop, in the midst of the work: they must be quick and may not raise.
    """

    def placed(self, docket: str, task: str, *, replacing: bool, disposition: str) -> None:
        """A call was to be placed, or placed instead of another; ``disposition`` says what came of it."""

    def cancelled(self, docket: str, count: int) -> None:
        """So many tasks were cancelled by those who hold the docket."""

    def stricken(self, docket: str, worker: str, task: str) -> None:
        """A worker has found a strike against a task that it took."""

    def superseded(self, docket: str, worker: str, task: str) -> None:
        """A worker was given a delivery that a newer one had replaced."""

    def run_started(self, docket: str, worker: str, task: str, *, late: float, redelivered: bool) -> None:
        """A run begins, ``late`` seconds after it was due."""

    def run_ended(
        self, docket: str, worker: str, task: str, *, seconds: float, ended: str, then: str
    ) -> None:
        """A run is over after ``seconds``.

        ``ended`` is "succeeded", "failed" or "stopped" (cancelled, handed back, lost); ``then`` is "retried" or
        "perpetuated" where the key runs again, else empty.
        """

    def disrupted(self, docket: str, worker: str) -> None:
        """A worker could not reach the server, or was refused, and tries again."""

    def listens(self) -> bool:
        """Whether it would make use of what it hears now; asked once for a run, which is then told of, or not."""
        return True

    def wants_depths(self) -> bool:
        """Whether a worker that starts now is to look at the depths from time to time; it would not otherwise (I10)."""
        return False

    def depths(self, docket: str, due: int, later: int) -> None:
        """So many tasks are due (those that run among them), and so many are scheduled for later."""

    def strikes(self, labels: Labels, change: int) -> None:
        """A strike came into effect (1) or was lifted (-1); ``labels`` are the docket's and the strike's."""

    def cached(self, cache: str, size: int) -> None:
        """An internal cache holds so many entries now."""


class Operation:
    """Something that takes its time; entered when it begins. This one is heard by nobody."""

    def __enter__(self) -> Operation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def note(self, name: str, value: str | int) -> None:
        """Say something about it that was not known when it began."""

    def failed(self, error: BaseException) -> None:
        """It has failed, by ``error``; without this, leaving it undisturbed means that it went well."""


UNHEARD = Operation()


class Tracer:
    """Makes operations heard, and says what of them is to travel with a message. Subclass it whole."""

    def operation(self, name: str, labels: Callable[[], Labels]) -> Operation:
        """Something that is done for whoever calls it; ``labels`` is called if anybody hears of it."""
        raise NotImplementedError

    def run(self, task: str, labels: Callable[[], Labels], fields: Mapping[bytes, bytes]) -> Operation:
        """A run of a task whose message has these further ``fields``."""
        raise NotImplementedError

    def fields(self) -> Mapping[bytes, bytes]:
        """What a message that is made now carries along, so that its run can be linked to the present operation."""
        raise NotImplementedError


class _Unfailing:
    """Keeps what telemetry raises from those who tell it. Nothing is awaited in there."""

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or isinstance(error, KeyboardInterrupt):
            return False
        with contextlib.suppress(Exception):  # a handler of the log
            logger.error("Telemetry raised", exc_info=error)
        return True


unfailing = _Unfailing()


class Signals:
    """Who hears what happens in this process. Change ``subscribers`` and ``tracer`` as you like, at any time."""

    __slots__ = ("load_telemetry", "subscribers", "tracer")

    def __init__(self) -> None:
        self.subscribers: list[Subscriber] = []
        self.tracer: Tracer | None = None
        self.load_telemetry: Callable[[], object] | None = None
        """Imports what subscribes for OpenTelemetry; the front door sets it."""

    def listeners(self) -> Sequence[Subscriber]:
        """The subscribers that make use of what they hear now."""
        return [each for each in self.subscribers if each.listens()] if self.subscribers else ()

    def follow_the_program(self) -> None:
        """Have OpenTelemetry hear everything, if this program has loaded it. Called where dockets and workers begin."""
        if self.load_telemetry is None or "opentelemetry" not in sys.modules:
            return
        load, self.load_telemetry = self.load_telemetry, None
        if load is None:  # another thread does it
            return
        try:
            load()
        except ImportError as error:
            # Only a part of it is there, or an old one: another package's business, no reason to fail.
            logger.debug("No telemetry: %s", error)

    def operation(self, name: str, labels: Callable[[], Labels]) -> Operation:
        """An operation of this name; ``labels`` is called if anybody hears of it."""
        return UNHEARD if self.tracer is None else self.tracer.operation(name, labels)


signals = Signals()
