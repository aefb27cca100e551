"""Errors among the server's replies: which of them are about one key, and which about the server."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ..standins import ErrorsOf, redis_errors
from ..transport import Client

__all__ = ["about_key", "answers", "check_expires", "is_about_a_key", "named", "naming", "unreadable"]

if TYPE_CHECKING:
    from . import unreadable_key as unreadable
else:
    unreadable = ErrorsOf(f"{__package__}.unreadable_key")

Reply = TypeVar("Reply")


def answers(replies: Sequence[Reply]) -> Sequence[Reply]:
    """The replies, if the server has answered.

    A key that holds something else than it should does not keep the other replies from the caller (I9): that error
    stays in its place. Raises: redis.exceptions.RedisError - the first of the other errors: the server refuses.
    """
    for reply in replies:
        if isinstance(reply, Exception) and not is_about_a_key(reply):
            raise reply
    return replies


def is_about_a_key(error: Exception) -> bool:
    """Whether the server says that a key holds a value of another type."""
    return str(error).startswith("WRONGTYPE")


def about_key(name: str, kind: str, found: str = "") -> unreadable.UnreadableKey:
    """The error that names a key; ``kind`` is the type that docket keeps there, ``found`` what is."""
    text = f"the key {name!r} holds {found or 'something else'}, where docket keeps a {kind}"
    error = unreadable.UnreadableKey(text)
    error.key = name
    return error


def named(reply: Reply, name: str, kind: str) -> Reply:
    """The reply about one key. Raises: KeyUnreadable - it is of another type; RedisError."""
    if isinstance(reply, Exception):
        raise about_key(name, kind) if is_about_a_key(reply) else reply
    return reply


@contextmanager
def naming(name: str, kind: str) -> Generator[None]:
    """Have errors about the type of a key, which the server does not name, name it. Raises: KeyUnreadable."""
    try:
        yield
    except redis_errors.RedisError as error:
        if not is_about_a_key(error):
            raise
        raise about_key(name, kind) from error


async def check_expires(client: Client, name: str) -> None:
    """Refuse a key that is none of the leases and locks that all workers of a docket share: these end by themselves.

    Raises: KeyUnreadable; RedisError.
    """
    if await client.call("PTTL", name) == -1:
        text = f"the key {name!r} holds something without an end, where docket keeps a lease"
        error = unreadable.UnreadableKey(text)
        error.key = name
        raise error
