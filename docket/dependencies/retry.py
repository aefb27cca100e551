"""Trying again after a failure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from .. import clock
from ..rules import Reschedule, RetryPolicy
from .base import FailureHandler, TaskOutcome

__all__ = ["Retry"]


class Retry(FailureHandler["Retry"]):
    """Run a failed task again, up to ``attempts`` runs in all (None: for ever), ``delay`` apart.

    As a dependency its value has ``attempt``, the number of the present run, from 1.
    """

    def __init__(self, attempts: int | None = 1, delay: timedelta = timedelta(0)) -> None:
        if attempts is not None and attempts < 1:
            raise ValueError(f"attempts takes a whole number from 1, or None for no limit, not {attempts!r}")
        if delay < timedelta(0):
            raise ValueError(f"delay takes a duration from zero, not {delay}")
        self.attempts, self.delay, self.attempt = attempts, delay, 1

    async def __aenter__(self) -> Retry:
        running = type(self)(self.attempts, self.delay)
        running.attempt = self.execution.get().attempt
        return running

    def policy(self) -> RetryPolicy:
        return RetryPolicy(attempts=self.attempts, delay=self.delay)

    async def handle_failure(self, execution: Any, outcome: TaskOutcome) -> bool:
        if not self.policy().allows_another(execution.attempt):
            return False
        self.next_run = Reschedule(when=clock.now() + self.delay, attempt=execution.attempt + 1)
        return True
