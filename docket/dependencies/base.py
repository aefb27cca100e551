"""The base classes of dependencies, and the context of the running task."""

from __future__ import annotations

import abc
import copy
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from uncalled_for import Dependency as _Dependency

from ..rules import Reschedule
from ..values import define

__all__ = [
    "CompletionHandler",
    "Dependency",
    "FailureHandler",
    "Runtime",
    "TaskOutcome",
    "copied",
    "current_docket",
    "current_execution",
    "current_worker",
    "format_duration",
]

T = TypeVar("T", covariant=True)
D = TypeVar("D")

current_docket: ContextVar[Any] = ContextVar("current_docket")
current_worker: ContextVar[Any] = ContextVar("current_worker")
current_execution: ContextVar[Any] = ContextVar("current_execution")


class Dependency(_Dependency[T]):
    """Something that a task declares in its signature; subclass it to make your own.

    ``docket``, ``worker`` and ``execution`` are context variables: ``self.docket.get()``.
    """

    docket: ClassVar[ContextVar[Any]] = current_docket
    worker: ClassVar[ContextVar[Any]] = current_worker
    execution: ClassVar[ContextVar[Any]] = current_execution

    @classmethod
    def worker_lifecycle(cls, docket: Any, worker: Any) -> AbstractAsyncContextManager[Any] | None:
        """A context manager that a worker keeps open from before its first task until after its last one, or None.

        Called once per run of a worker and class of dependency, for the tasks that are registered by then.
        """
        return None


@define
class TaskOutcome:
    """How one run ended. ``exception`` is None if the body returned."""

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
    """The next run of the same key, if the handler sets it: placed in the same step that ends this run."""

    @abc.abstractmethod
    async def handle_failure(self, execution: Any, outcome: TaskOutcome) -> bool:
        """Whether this handler has handled the failure (by another run, say)."""


class CompletionHandler(Dependency[T]):
    """Decides what follows a run, failed or not; at most one a task."""

    single = True
    next_run: Reschedule | None = None
    """The next run of the same key, if the handler sets it: placed in the same step that ends this run."""

    @abc.abstractmethod
    async def on_complete(self, execution: Any, outcome: TaskOutcome) -> bool:
        """Whether this handler has decided what follows."""


def copied(dependency: D) -> D:
    """A shallow copy. `copy.copy` costs five times as much: it asks the class how, and ours have nothing to say."""
    kind = type(dependency)
    if not kind.__module__.startswith("docket."):
        return copy.copy(dependency)
    same = object.__new__(kind)
    vars(same).update(vars(dependency))
    return same


def format_duration(seconds: float) -> str:
    """A duration for people, of constant width: milliseconds below a hundred seconds, else seconds."""
    return f"{seconds * 1000:6.0f}ms" if seconds < 100 else f"{seconds:6.0f}s "
