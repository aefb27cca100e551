"""Progress of the running task."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .base import Dependency

if TYPE_CHECKING:
    from ..execution import ExecutionProgress
else:
    ExecutionProgress = object

__all__ = ["Progress"]


class Progress(Dependency["Progress"], ExecutionProgress):
    """Report the task's progress: ``progress: ExecutionProgress = Progress()``.

    For type checkers it is an `ExecutionProgress`, so a parameter may be annotated with either.

    Every `Progress` of a run, its dependencies' too, is the same progress: that of the running execution.
    """

    def __init__(self) -> None:
        self._reporting: ExecutionProgress | None = None

    async def __aenter__(self) -> Progress:
        bound = type(self)()
        bound._reporting = self.execution.get().progress
        return bound

    @property
    def _bound(self) -> ExecutionProgress:
        if self._reporting is None:
            raise UsageError(
                "Progress must be used as a dependency: give a parameter of the task the default Progress()"
            )
        return self._reporting

    @property
    def current(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How much is done."""
        return self._bound.current

    @property
    def total(self) -> int:
        """How much there is to do; 100 until it is set."""
        return self._bound.total

    @property
    def message(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What is being done."""
        return self._bound.message

    @property
    def updated_at(self) -> datetime | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The time of the last report."""
        return self._bound.updated_at

    async def set_total(self, total: int) -> None:
        """See `ExecutionProgress.set_total`."""
        await self._bound.set_total(total)

    async def increment(self, amount: int = 1) -> None:
        """See `ExecutionProgress.increment`."""
        await self._bound.increment(amount)

    async def set_message(self, message: str | None) -> None:
        """See `ExecutionProgress.set_message`."""
        await self._bound.set_message(message)

    async def sync(self) -> None:
        """See `ExecutionProgress.sync`."""
        await self._bound.sync()

    def subscribe(self, *, ready: Any = None) -> AsyncGenerator[Any, None]:
        """See `ExecutionProgress.subscribe`."""
        return self._bound.subscribe(ready=ready)
