"""Every error that docket raises itself. The class says whose fault it is and whether trying again helps.

Errors of the server and of the connection are redis-py's (``redis.exceptions``), so that code written for
redis-py and pydocket catches what it always caught; where both apply, what is raised derives from both. This module
does without redis-py, so that a command line which only says its version loads no client.
"""

from __future__ import annotations

__all__ = [
    "AwaitedCancelled",
    "BadSetting",
    "BadUrl",
    "DeliveryLimitExceeded",
    "DeliveryUnreadable",
    "DocketError",
    "ExecutionCancelled",
    "ExecutionError",
    "ExecutionFailed",
    "KeyUnreadable",
    "PortUnavailable",
    "ResultExpired",
    "ResultNotStored",
    "ResultUnreadable",
    "ScopeLeftOpen",
    "TaskExited",
    "UnknownTask",
    "UsageError",
]


class DocketError(Exception):
    """Whatever docket itself has to complain about."""


class UsageError(DocketError, ValueError):
    """The caller's mistake; the same call will fail again."""


class BadUrl(UsageError):
    """A server URL that names no server we can reach: unknown scheme, bad port, bad option."""


class BadSetting(UsageError):
    """A setting outside of its range; the message names the setting and what it takes."""


class PortUnavailable(BadSetting, OSError):
    """A port that nothing can be served on: it is in use, or not for this user."""


class UnknownTask(UsageError, KeyError):
    """A task name that nobody registered on this docket."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would show the repr of the message


class ExecutionError(DocketError):
    """What became of an execution, seen by the one who waits for it."""


class ExecutionCancelled(ExecutionError):
    """The task was cancelled before it could finish."""


class ExecutionFailed(ExecutionError):
    """The task failed, and the exception that it raised is not kept (the message is what was recorded of it)."""


class AwaitedCancelled(ExecutionError):
    """The task awaited something that somebody else had cancelled, and did not catch the cancellation."""


class TaskExited(ExecutionError):
    """A task that the body had started raised SystemExit, which on asyncio would have ended the event loop."""


class ScopeLeftOpen(ExecutionError):
    """The body ended while a cancel scope or a task group that it had entered was still open."""


class DeliveryLimitExceeded(ExecutionError):
    """The task was begun ``max_deliveries`` times, and no worker came to its end: it may be what kills them."""


class ResultExpired(ExecutionError):
    """The record of the execution is gone (its ``execution_ttl`` has passed, or the docket was cleared)."""


class ResultUnreadable(ExecutionError):
    """The task has completed, and what is kept of its result cannot be read here: it is none, or its pickle raises."""


class KeyUnreadable(DocketError):
    """What lies under a key of the docket is not what docket keeps there. The message names the key: remove it.

    It is a ``redis.exceptions.ResponseError`` as well.
    """


class ResultNotStored(ExecutionError):
    """The task ended well, but the docket's result storage did not take what it returned."""


class DeliveryUnreadable(DocketError):
    """A message on the stream that cannot be decoded (I9); set aside as failed with this reason."""
