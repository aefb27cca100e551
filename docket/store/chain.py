"""Whether the runs under some keys still wait or run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ..standins import redis_errors
from ..transport import Client
from ..values import frozen
from . import script_calls
from .keys import Keys
from .lua import run_each

__all__ = ["Chain", "chains"]


@frozen
class Chain:
    """What is under a key. ``generation`` is 0 where nothing is recorded, or not in a form that we know."""

    is_live: bool
    """Whether it waits or runs. A record alone, of which nothing is left on queue and stream, does not count."""
    generation: int
    is_record: bool = True
    """Whether what is there is a record, if anything is."""


async def chains(client: Client, keys: Keys, task_keys: Sequence[str]) -> list[Chain]:
    """What is under each of the keys, in one round trip. Raises: RedisError."""
    calls = [
        script_calls.alive(
            keys,
            key=key,
        )
        for key in task_keys
    ]
    replies = await run_each(client, calls)
    found: list[Chain] = []
    for reply in replies:
        if isinstance(reply, redis_errors.RedisError):
            raise reply
        live, generation = cast("list[int]", reply)
        found.append(Chain(live == 1, generation, live != 2))
    return found
