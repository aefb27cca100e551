"""What every dependency stands on: the engine's base class and the context of the running task."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

import attrs
from uncalled_for import Dependency as _Dependency

from ..rules import Reschedule

__all__ = [
    "CompletionHandler",
    "Dependency",
    "FailureHandler",
    "Runtime",
    "TaskOutcome",
    "current_docket",
    "current_execution",
    "current_worker",
    "format_duration",
]

T = TypeVar("T", covariant=True)

current_docket: ContextVar[Any] = ContextVar("current_docket")
current_worker: ContextVar[Any] = ContextVar("current_worker")
current_execution: ContextVar[Any] = ContextVar("current_execution")


class Dependency(_Dependency[T]):
    """Something that a task asks for in its signature; subclass it to make your own.

    ``docket``, ``worker`` and ``execution`` are context variables: ``self.docket.get()``.
    """

    docket: ClassVar[ContextVar[Any]] = current_docket
    worker: ClassVar[ContextVar[Any]] = current_worker
    execution: ClassVar[ContextVar[Any]] = current_execution

    @classmethod
    def worker_lifecycle(cls, docket: Any, worker: Any) -> AbstractAsyncContextManager[Any] | None:
        """What a worker keeps open from before its first task until after its last one, if anything.

        Asked once per run of a worker and class of dependency, for the tasks that are registered by then.
        """
        return None


@attrs.define
class TaskOutcome:
    """How one run ended. ``exception`` is None where the body returned."""

    duration: timedelta
    result: Any = None
    exception: BaseException | None = None


class Runtime(Dependency[T]):
    """Runs the body in place of the worker; at most one a task."""

    single = True

    @abc.abstractmethod
    async def run(
        self,
        execution: Any,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Call ``function`` and return its result."""


class FailureHandler(Dependency[T]):
    """Decides about failed runs; at most one a task."""

    single = True
    next_run: Reschedule | None = None
    """If set by the answer: the run of the same key that is placed in the same step that ends this one."""

    @abc.abstractmethod
    async def handle_failure(self, execution: Any, outcome: TaskOutcome) -> bool:
        """Whether this handler has taken care of the failure (has scheduled another run, say)."""


class CompletionHandler(Dependency[T]):
    """Decides what follows a run, failed or not; at most one a task."""

    single = True
    next_run: Reschedule | None = None
    """If set by the answer: the run of the same key that is placed in the same step that ends this one."""

    @abc.abstractmethod
    async def on_complete(self, execution: Any, outcome: TaskOutcome) -> bool:
        """Whether this handler has taken care of what follows."""


def format_duration(seconds: float) -> str:
    """A duration for people, always as wide: milliseconds below a hundred seconds, else seconds."""
    return f"{seconds * 1000:6.0f}ms" if seconds < 100 else f"{seconds:6.0f}s "
