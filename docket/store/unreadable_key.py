"""The error about a key that is not docket's, as redis-py's, too. Everybody gets it by `answers.unreadable`."""

from __future__ import annotations

from redis.exceptions import ResponseError

from ..errors import KeyUnreadable

__all__ = ["UnreadableKey"]


class UnreadableKey(KeyUnreadable, ResponseError):
    """A `KeyUnreadable` that is redis-py's, too; ``key`` is the one that it names, where that is known."""

    key: str | None = None
