"""Locks among what the functions of dependencies return: context managers that give nothing to use when entered."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError

__all__ = ["refuse_lock", "refuse_thread_lock"]

_OF_THREADS = frozenset({"threading", "_thread", "multiprocessing"})
_OF_LOOPS = frozenset({"anyio", "asyncio", "trio"})

_CURE = (
    "make the function async (its value is given as it is), or yield the lock from an @asynccontextmanager"
)


def _is_lock(context: Any, roots: frozenset[str]) -> bool:
    """Whether this is a lock, a semaphore, a condition or a limiter of one of these libraries."""
    return (
        type(context).__module__.partition(".")[0] in roots
        and hasattr(context, "acquire")
        and hasattr(context, "release")
    )


def refuse_thread_lock(context: Any) -> None:
    """Raise UsageError for a lock that would block the event loop as it is entered."""
    if _is_lock(context, _OF_THREADS):
        raise UsageError(
            f"a function of a dependency returned a {type(context).__name__} of threads, which would be held for the "
            f"whole run and block the event loop meanwhile: {_CURE}"
        )


def refuse_lock(context: Any) -> None:
    """Raise UsageError for any lock: what is shared would hold it until the worker stops."""
    if _is_lock(context, _OF_THREADS | _OF_LOOPS):
        raise UsageError(
            f"the function of a Shared returned a {type(context).__name__}, which would be held until the worker "
            f"stops, and each task would get None: {_CURE}"
        )
