"""What happens on dockets and workers, published to subscribers and at most one tracer: the source of all telemetry.

The rooms publish what happens as it does::

    for each in signals.subscribers:
        with suppress_errors:
            each.cancelled(docket.name, 1)

and put what takes time into an operation::

    with signals.operation("docket.cancel", labels) as operation:
        ...

An error of a subscriber is logged and goes no further (I9).
Without subscribers the first costs a look at an empty list, and the second a call that returns `NOT_TRACED`.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ContextDecorator
from types import TracebackType
from typing import TypeAlias

__all__ = [
    "NOT_TRACED",
    "Labels",
    "Operation",
    "Signals",
    "Subscriber",
    "SuppressErrors",
    "Tracer",
    "signals",
    "suppress_errors",
]

logger = logging.getLogger("docket")

Labels: TypeAlias = Mapping[str, "str | int"]


class Subscriber:
    """Receives what happens; each method does nothing until a subclass overrides it.

    They are called on the event loop, in the midst of the work: they must be quick and may not raise.
    """

    def placed(self, docket: str, task: str, *, replacing: bool, disposition: str) -> None:
        """Somebody placed a call, or replaced one; ``disposition`` is the result."""

    def cancelled(self, docket: str, count: int) -> None:
        """Users of the docket cancelled so many tasks."""

    def stricken(self, docket: str, worker: str, task: str) -> None:
        """A worker found a strike against a task that it took."""

    def expired(self, docket: str, worker: str, task: str) -> None:
        """A task was cancelled that had not begun by the moment that its caller gave."""

    def superseded(self, docket: str, worker: str, task: str) -> None:
        """A worker was given a delivery that a newer one has replaced."""

    def worker_began(self, docket: str, worker: str, tasks: Collection[str]) -> None:
        """A worker begins, which knows these tasks."""

    def run_started(self, docket: str, worker: str, task: str, *, late: float, redelivered: bool) -> None:
        """A run begins, ``late`` seconds after it was due."""

    def run_ended(
        self, docket: str, worker: str, task: str, *, seconds: float, ended: str, then: str
    ) -> None:
        """A run is over after ``seconds``.

        ``ended`` is "succeeded", "failed" or "stopped" (cancelled, handed back, lost); ``then`` is "retried" or
        "perpetuated" where the key runs again, else empty.
        """

    def run_waits(self, docket: str, worker: str, task: str, change: int) -> None:
        """A run begins to wait for other tasks (1), or waits for none any more (-1)."""

    def disrupted(self, docket: str, worker: str) -> None:
        """A worker could not reach the server, or was refused, and tries again."""

    def wants_runs(self) -> bool:
        """Whether it has a use for runs now. Asked as tasks are taken; the answer holds until their runs have ended."""
        return True

    def wants_depths(self) -> bool:
        """Whether a worker that starts now is to measure the depths regularly; it does not otherwise (I10)."""
        return False

    def depths(self, docket: str, due: int, later: int) -> None:
        """So many tasks are due (running ones among them), and so many are scheduled for later or wait for a limit."""

    def levels(self, docket: str, due: Mapping[str, int], unserved: Mapping[str, int]) -> None:
        """So many tasks are due of each level, where there are others than normal; of these nobody serves some."""

    def waiting(self, docket: str, limits: Mapping[str, int]) -> None:
        """So many tasks wait for a concurrency limit, by its name; for other limits of the docket none does."""

    def kept(self, docket: str, failed: int, paused: Collection[str]) -> None:
        """Of so many keys a failure is kept; the names of the tasks that are paused, ``*`` for all of them."""

    def unmeasured(self, docket: str) -> None:
        """Nobody measures these numbers of the docket any more: its worker has ended, or cannot reach the server."""

    def unsigned(self, docket: str) -> None:
        """Something without a signature was opened, where none is required."""

    def untrusted(self, docket: str) -> None:
        """Something was not opened since it is not signed, or not by a key that is known."""

    def strikes(self, labels: Labels, change: int) -> None:
        """A strike came into effect (1) or was lifted (-1); ``labels`` are the docket's and the strike's."""

    def cached(self, cache: str, size: int) -> None:
        """An internal cache has so many entries now."""


class Operation:
    """Something that takes time; entered when it begins. This one is not traced."""

    def __enter__(self) -> Operation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def note(self, name: str, value: str | int) -> None:
        """Add a fact that was not known when it began."""

    def failed(self, error: BaseException) -> None:
        """It has failed with ``error``. Without this call, leaving it without an exception is success."""


NOT_TRACED = Operation()


class Tracer:
    """Traces operations, and knows what of them travels with a message. Subclass it whole."""

    def is_heard(self) -> bool:
        """Whether anybody hears of runs now. Asked as tasks are taken; one whose message has fields is traced all the
        same."""
        return True

    def operation(self, name: str, labels: Callable[[], Labels]) -> Operation:
        """An operation that a caller waits for; ``labels`` is called only if it is traced."""
        raise NotImplementedError

    def run(
        self,
        task: str,
        labels: Callable[[], Labels],
        fields: Mapping[bytes, bytes],
        *,
        as_child: bool = False,
    ) -> Operation:
        """A run of a task whose message has these further ``fields``.

        It is linked to the operation that they name; ``as_child`` makes it a part of that one's trace, too.
        """
        raise NotImplementedError

    def fields(self) -> Mapping[bytes, bytes]:
        """The fields of a message made now, by which its run can be linked to the present operation."""
        raise NotImplementedError


class SuppressErrors(ContextDecorator):
    """A block or a function of which no error comes out, KeyboardInterrupt excepted: it is logged under ``title``.

    For code of others that runs in the midst of our work: subscribers, tracers, handlers of the log. Await nothing
    in there: a cancellation would be suppressed, too.
    """

    def __init__(self, title: str) -> None:
        self._title = title

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or isinstance(error, KeyboardInterrupt):
            return False
        try:
            logger.error(self._title, exc_info=error)
        except KeyboardInterrupt:
            raise
        except BaseException:  # of a handler of the log, or of the error itself  # noqa: BLE001, S110
            pass
        return True


suppress_errors = SuppressErrors("Telemetry raised")


class Signals:
    """Who receives what happens in this process. Change ``subscribers`` and ``tracer`` as you like, at any time."""

    __slots__ = ("load_telemetry", "subscribers", "tracer")

    def __init__(self) -> None:
        self.subscribers: list[Subscriber] = []
        self.tracer: Tracer | None = None
        self.load_telemetry: Callable[[], object] | None = None
        """Imports what subscribes for OpenTelemetry."""

    def run_subscribers(self) -> Sequence[Subscriber]:
        """The subscribers that have a use for runs now."""
        return [each for each in self.subscribers if each.wants_runs()] if self.subscribers else ()

    def connect_opentelemetry(self) -> None:
        """Subscribe OpenTelemetry, if this program has loaded it. Called where dockets and workers begin."""
        if self.load_telemetry is None or "opentelemetry" not in sys.modules:
            return
        load, self.load_telemetry = self.load_telemetry, None
        if load is None:  # another thread does it
            return
        try:
            load()
        except ImportError as error:
            # Only a part of it is installed, or an old version: no reason to fail.
            logger.debug("No telemetry: %s", error)

    def operation(self, name: str, labels: Callable[[], Labels]) -> Operation:
        """An operation of this name; ``labels`` is called only if it is traced."""
        return NOT_TRACED if self.tracer is None else self.tracer.operation(name, labels)


signals = Signals()
# By name: the room is above this one, and loaded only where a program uses OpenTelemetry.
signals.load_telemetry = lambda: importlib.import_module("docket.instrumentation.subscribe")
