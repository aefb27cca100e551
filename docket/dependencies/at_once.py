"""Which dependencies open without waiting for anything: such a run needs no scope in which that can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .concurrency import ConcurrencyLimit
from .contextual import FromContext
from .cooldown import Cooldown
from .cron import Cron
from .debounce import Debounce
from .introspection import declared
from .perpetual import Perpetual
from .progress import Progress
from .ratelimit import RateLimit
from .retry import ExponentialRetry, Retry
from .timeout import Timeout

__all__ = ["open_at_once"]

#: Subclasses may do anything.
_KINDS: frozenset[type[Any]] = frozenset(
    {
        ConcurrencyLimit, Cooldown, Cron, Debounce, ExponentialRetry, FromContext, Perpetual, Progress, RateLimit,
        Retry, Timeout,
    }
)  # fmt: skip


def open_at_once(function: Callable[..., Any]) -> bool:
    """Whether the dependencies that a function declares open in one step, and have nothing to close."""
    return all(type(dependency) in _KINDS for _, dependency in declared(function))
