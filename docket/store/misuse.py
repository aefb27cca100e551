"""What lies under the docket's own keys that docket did not put there: the server's errors do not name the key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from ..standins import redis_errors
from ..transport import Client
from .answers import about_key, is_about_a_key, unreadable
from .foreign import text
from .keys import Keys

__all__ = ["KINDS", "NEEDED", "is_shared", "misplaced", "misused", "named_after"]

#: What the server calls the types of values, and what people do.
_WORDS = {
    "string": "string",
    "list": "list",
    "set": "set",
    "zset": "sorted set",
    "hash": "hash",
    "stream": "stream",
}

#: The type of what is kept under each of the docket's own keys, by the member of `Keys` that names it.
KINDS: Mapping[str, str] = {
    "stream": "stream",
    "queue": "zset",
    "reserved_queue": "zset",
    "workers": "zset",
    "limits": "hash",
    "waiting": "set",
    "pauses": "hash",
    "groups": "zset",
    "dead": "stream",
    "strikes": "stream",
    "sweep_lease": "string",
    "groups_lease": "string",
    "perpetual_lock": "string",
}

#: Those of them without which no task can be taken, begun, ended or put off.
NEEDED = ("stream", "queue", "reserved_queue", "limits", "waiting", "pauses", "dead")


def is_shared(keys: Keys, error: unreadable.UnreadableKey) -> bool:
    """Whether an error names a key of the whole docket."""
    return error.key in {getattr(keys, member) for member in KINDS}


async def misplaced(
    client: Client, keys: Keys, members: Iterable[str] = NEEDED, others: Mapping[str, str] | None = None
) -> unreadable.UnreadableKey | None:
    """The error that names the first of these keys that holds a value of another type; None where none does.

    ``others`` are names of more keys, with their types. Raises: redis.exceptions.RedisError.
    """
    expected = {str(getattr(keys, member)): KINDS[member] for member in members} | dict(others or {})
    kinds = await client.call_many([("TYPE", name) for name in expected])
    for (name, kind), found in zip(expected.items(), kinds, strict=True):
        if isinstance(found, redis_errors.RedisError):
            raise found
        word = cast("bytes", found).decode()
        if word not in (kind, "none"):
            return about_key(name, _WORDS[kind], f"a {_WORDS.get(word, word)}")
    return None


async def misused(
    client: Client, keys: Keys, worker: str, everything: bool
) -> unreadable.UnreadableKey | None:
    """As `misplaced`: of the keys that every task needs, or of all that a worker touches whatever it runs.

    Strikes are no such key: a task of pydocket's may be parked there.
    """
    if not everything:
        return await misplaced(client, keys)
    others = {keys.worker_tasks(worker): "set"}
    found = await misplaced(client, keys, KINDS.keys() - {"strikes"}, others)
    return found or await _misplaced_row(client, keys)


async def _misplaced_row(client: Client, keys: Keys) -> unreadable.UnreadableKey | None:
    """The error that names the first row of a paused task that is no stream: no task can be taken then."""
    tasks = cast("list[bytes]", await client.call("HKEYS", keys.pauses))
    return await misplaced(
        client, keys, (), {f"{keys.pause(text(task))}:waiters": "stream" for task in tasks}
    )


async def named_after(
    error: redis_errors.RedisError, client: Client, keys: Keys, others: Mapping[str, str]
) -> redis_errors.RedisError:
    """The error, or one that names the key, where it is about one of these or of those that every task needs."""
    if not is_about_a_key(error):
        return error
    try:
        return await misplaced(client, keys, others=others) or error
    except redis_errors.NoPermissionError:
        return error  # then it cannot be named
