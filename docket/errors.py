"""Every error that docket raises itself. Its class shows whose fault it is, and whether trying again helps.

Errors of the server and of the connection are redis-py's (``redis.exceptions``), so ``except`` clauses written for
redis-py and pydocket still work; where both apply, the error derives from both. This module does not import redis-py:
a command line that only prints the version loads no client.
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
    "ExecutionExpired",
    "ExecutionFailed",
    "KeyUnreadable",
    "NothingKept",
    "PortUnavailable",
    "ResultExpired",
    "ResultNotStored",
    "ResultUnreadable",
    "ScopeLeftOpen",
    "TaskExited",
    "UnknownTask",
    "Untrusted",
    "UsageError",
]


class DocketError(Exception):
    """The base of all errors of docket."""


class UsageError(DocketError, ValueError):
    """A mistake of the caller; the same call will fail again."""


class BadUrl(UsageError):
    """A server URL that is not supported: unknown scheme, bad port, bad option."""


class BadSetting(UsageError):
    """A setting outside of its range; the message names the setting and what it takes."""


class PortUnavailable(BadSetting, OSError):
    """A port that cannot be listened on: it is in use, or this user may not."""


class UnknownTask(UsageError, KeyError):
    """A task name that is not registered on this docket."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would show the repr of the message


class NothingKept(UsageError, KeyError):
    """There is no failure to retry under a key: none is kept, or not its arguments."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would show the repr of the message


class ExecutionError(DocketError):
    """The end of an execution without a result, as seen by the caller that waits for it."""


class ExecutionCancelled(ExecutionError):
    """The task was cancelled before it could finish."""


class ExecutionExpired(ExecutionCancelled):
    """The task had not begun by the moment that was given for it (``expires``), so it was cancelled."""


class ExecutionFailed(ExecutionError):
    """The task failed, and its exception was not kept; the message is the text that was recorded of it."""


class AwaitedCancelled(ExecutionError):
    """The task awaited something that other code had cancelled, and did not catch the cancellation."""


class TaskExited(ExecutionError):
    """A task that the body had started raised SystemExit, which on asyncio would have ended the event loop."""


class ScopeLeftOpen(ExecutionError):
    """The body ended with a cancel scope or a task group still open that it had entered."""


class DeliveryLimitExceeded(ExecutionError):
    """The task was begun ``max_deliveries`` times and never ended: perhaps it kills its workers."""


class ResultExpired(ExecutionError):
    """The record of the execution is gone (its ``execution_ttl`` has passed, or the docket was cleared)."""


class ResultUnreadable(ExecutionError):
    """The task has completed, but its stored result cannot be read here: it is no result, or its pickle raises."""


class KeyUnreadable(DocketError):
    """A key of the docket holds a value that is not docket's. The message names the key: remove it.

    It is a ``redis.exceptions.ResponseError``, too.
    """


class ResultNotStored(ExecutionError):
    """The task completed, but the docket's result storage did not take its result."""


class DeliveryUnreadable(DocketError):
    """A message on the stream that cannot be decoded (I9); it is set aside as failed, with this reason."""


class Untrusted(DeliveryUnreadable, ResultUnreadable):
    """What Redis holds may not be opened here, so it was not; the message says what and why.

    No key that is known here has signed it, a serializer wrote it that is not accepted, or it is sealed otherwise. A
    worker sets such a delivery aside, and who awaits a result gets this instead.
    """
