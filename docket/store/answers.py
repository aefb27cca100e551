"""Replies to several commands at once: which errors are about one key, and which about the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from redis.exceptions import RedisError

__all__ = ["answers"]

Reply = TypeVar("Reply")


def answers(replies: Sequence[Reply]) -> Sequence[Reply]:
    """The replies, if the server has answered.

    A key that holds something else than it should is no reason to hear nothing of the others (I9): that error stays
    in its place. Raises: redis.exceptions.RedisError - the first of the other errors: the server refuses.
    """
    for reply in replies:
        if isinstance(reply, RedisError) and not str(reply).startswith("WRONGTYPE"):
            raise reply
    return replies
