"""A limit of time for each run."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Self

import anyio

from .. import clock
from .base import Runtime
from .checks import check_duration

__all__ = ["Timeout"]


class Timeout(Runtime["Timeout"]):
    """Stop a run that takes longer than ``base``: it fails with a TimeoutError, and a Retry applies.

    The time begins with the body, after its dependencies are there. When it is up the body is cancelled at its next
    await, and at each one after that, so that catching the cancellation prolongs nothing; whatever it returns
    afterwards is lost. What cannot be interrupted is stopped late: a body that blocks the loop, a plain function in
    its thread, and what is shielded. As a dependency its value can `extend` the time.

    Raises: TypeError - ``base`` is no timedelta; UsageError (a ValueError) - it is not above zero.
    """

    base: timedelta

    def __init__(self, base: timedelta) -> None:
        self.base = check_duration("Timeout", base, positive=True)
        self._allowed = base
        self._deadline: float | None = None
        self._scope: anyio.CancelScope | None = None

    async def __aenter__(self) -> Self:
        running = copy.copy(self)
        running._allowed, running._deadline, running._scope = self.base, None, None
        return running

    # for the task ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, or begin anew, to count the time. The worker does so before it calls the body."""
        self._deadline = clock.monotonic() + self._allowed.total_seconds()
        if self._scope is not None:
            self._scope.deadline = self._deadline

    def expired(self) -> bool:
        """Whether the time is up."""
        stopped = self._scope is not None and self._scope.cancel_called
        return stopped or self._remaining_seconds() <= 0

    def remaining(self) -> timedelta:
        """The time that is left; below zero for how long it has been up."""
        return timedelta(seconds=self._remaining_seconds())

    def extend(self, by: timedelta | None = None) -> None:
        """Give this run more time: ``by``, or ``base`` once more. A run whose time is up is not saved by it.

        Raises: TypeError, UsageError - ``by`` is not a duration from zero.
        """
        more = self.base if by is None else check_duration("extend", by)
        self._allowed += more
        if self._deadline is not None:
            self._deadline += more.total_seconds()
            if self._scope is not None:
                self._scope.deadline = self._deadline

    def _remaining_seconds(self) -> float:
        if self._deadline is None:
            return self._allowed.total_seconds()
        return self._deadline - clock.monotonic()

    # for the worker --------------------------------------------------------------------------------------

    async def run(
        self,
        execution: Any,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Call ``function`` and return its result.

        Raises: TimeoutError - it took too long; what the function raises, also after it was stopped.
        Cancel: a cancellation from outside comes out as such, also while the time is up.
        """
        with anyio.CancelScope() as self._scope:
            self.start()
            returned = await function(*args, **kwargs)
            if not self._scope.cancel_called and self._remaining_seconds() >= 0:
                return returned
        raise TimeoutError(
            f"Docket task {execution.key} exceeded timeout of {self._allowed.total_seconds()}s"
        )
