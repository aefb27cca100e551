"""Whether the memory of a server is full: then it refuses what would need more of it."""

from __future__ import annotations

from collections.abc import Mapping

from ..standins import redis_errors

__all__ = ["ABOUT_MEMORY", "is_full"]

ABOUT_MEMORY = ("INFO", "memory")


def is_full(reply: object) -> bool | None:
    """Read the reply to `ABOUT_MEMORY`; None where the user may not see that.

    A policy that evicts makes room instead, while it finds what to evict.
    Raises: redis.exceptions.RedisError - any other error that the server has replied.
    """
    if isinstance(reply, redis_errors.NoPermissionError):
        return None
    if isinstance(reply, Exception):
        raise reply
    if not isinstance(reply, bytes):
        return None
    told = _lines(reply)
    limit, used = _number(told, b"maxmemory"), _number(told, b"used_memory")
    uncounted = _number(told, b"mem_not_counted_for_evict")
    evicts = told.get(b"maxmemory_policy", b"").startswith(b"allkeys")
    return bool(limit) and not evicts and used - uncounted > limit


def _lines(reply: bytes) -> Mapping[bytes, bytes]:
    pairs = (line.partition(b":") for line in reply.splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _number(told: Mapping[bytes, bytes], name: bytes) -> int:
    value = told.get(name, b"")
    return int(value) if value.isdigit() else 0
