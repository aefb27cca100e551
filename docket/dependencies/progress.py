"""Progress of the running task."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, Protocol

from ..errors import UsageError
from .base import Dependency

__all__ = ["Progress"]


class _Reporting(Protocol):
    """The used part of `docket.execution.ExecutionProgress`."""

    current: int | None
    total: int
    message: str | None
    updated_at: datetime | None

    async def set_total(self, total: int) -> None: ...
    async def increment(self, amount: int = 1) -> None: ...
    async def set_message(self, message: str | None) -> None: ...
    async def sync(self) -> None: ...
    def subscribe(self, *, ready: Any = None) -> AsyncGenerator[Any, None]: ...


class Progress(Dependency["Progress"]):
    """Report the task's progress: ``progress: ExecutionProgress = Progress()``.

    Every `Progress` of a run, its dependencies' too, is the same progress: that of the running execution.
    """

    def __init__(self) -> None:
        self._reporting: _Reporting | None = None

    async def __aenter__(self) -> Progress:
        bound = type(self)()
        bound._reporting = self.execution.get().progress
        return bound

    @property
    def _bound(self) -> _Reporting:
        if self._reporting is None:
            raise UsageError(
                "Progress must be used as a dependency: give a parameter of the task the default Progress()"
            )
        return self._reporting

    @property
    def current(self) -> int | None:
        """How much is done."""
        return self._bound.current

    @property
    def total(self) -> int:
        """How much there is to do; 100 until it is set."""
        return self._bound.total

    @property
    def message(self) -> str | None:
        """What is being done."""
        return self._bound.message

    @property
    def updated_at(self) -> datetime | None:
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
