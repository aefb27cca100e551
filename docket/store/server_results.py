"""The results that the server of a docket keeps, as the ``AsyncKeyValue`` that py-key-value-aio defines.

Workers store results by the scripts that end their runs; this is for programs that read, write or delete them by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, SupportsFloat, cast

from .. import clock
from ..moments import check_duration
from ..transport import Client
from ..values import define
from .answers import answers
from .codec import envelope, open_value
from .keys import Keys
from .schedule import milliseconds

__all__ = ["ServerResults"]

Value = dict[str, Any]


@define(eq=False)
class ServerResults:
    """Values under keys, in the collection of the docket's results unless another one is named.

    ``client`` gives the docket's connection; it raises where the docket is not open.
    Units: a ``ttl`` is in seconds, None for ever.
    Raises: ValueError - what is stored under a key is no such value; redis.exceptions.RedisError.
    """

    _client: Callable[[], Client]
    _keys: Keys

    async def setup(self) -> None:
        """Nothing is to be set up."""

    async def get(self, key: str, *, collection: str | None = None) -> Value | None:
        """The value of a key; None where there is none."""
        return (await self.get_many([key], collection=collection))[0]

    async def get_many(self, keys: Sequence[str], *, collection: str | None = None) -> list[Value | None]:
        """The value of each key."""
        commands = [("MGET", *self._places(key, collection)) for key in keys]
        replies = cast("list[list[bytes | None]]", answers(await self._client().call_many(commands)))
        return [_first(key, found) for key, found in zip(keys, replies, strict=True)]

    async def ttl(self, key: str, *, collection: str | None = None) -> tuple[Value | None, float | None]:
        """The value of a key, and for how long it will be kept."""
        return (await self.ttl_many([key], collection=collection))[0]

    async def ttl_many(
        self, keys: Sequence[str], *, collection: str | None = None
    ) -> list[tuple[Value | None, float | None]]:
        """The value of each key, and for how long it will be kept."""
        found: list[tuple[Value | None, float | None]] = []
        for key, value in zip(keys, await self.get_many(keys, collection=collection), strict=True):
            commands = [("PTTL", place) for place in self._places(key, collection)]
            left = max(cast("list[int]", answers(await self._client().call_many(commands))))
            found.append((value, left / 1000 if value is not None and left >= 0 else None))
        return found

    async def put(
        self,
        key: str,
        value: Mapping[str, Any],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        """Store a value. Raises: UsageError (a ValueError) - ``ttl`` is not above zero; TypeError - it is no JSON."""
        await self.put_many([key], [value], collection=collection, ttl=ttl)

    async def put_many(
        self,
        keys: Sequence[str],
        values: Sequence[Mapping[str, Any]],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        """Store a value under each key; as `put`."""
        kept = None if ttl is None else timedelta(seconds=float(ttl))
        if kept is not None:
            check_duration("ttl", kept, positive=True)
        ends = () if kept is None else ("PX", milliseconds(kept))
        commands: list[Any] = []
        for key, value in zip(keys, values, strict=True):
            places = self._places(key, collection)
            if self._keys.tagged:
                commands.append(("SET", places[-1], json.dumps(dict(value)), *ends))
            else:
                shown = self._keys.results_collection if collection is None else collection
                text = envelope(shown, key, dict(value), now=clock.now(), ttl=kept)
                commands.append(("SET", places[0], text, *ends))
        answers(await self._client().call_many(commands))

    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        """Delete the value of a key; whether there was one."""
        return await self.delete_many([key], collection=collection) == 1

    async def delete_many(self, keys: Sequence[str], *, collection: str | None = None) -> int:
        """Delete the value of each key; how many there were."""
        commands = [("DEL", *self._places(key, collection)) for key in keys]
        return sum(cast("list[int]", answers(await self._client().call_many(commands))))

    def _places(self, key: str, collection: str | None) -> tuple[str, ...]:
        """Where a value may be: as an envelope, or bare as on a cluster."""
        if collection is None:
            return self._keys.result_envelope(key), self._keys.result_bare(key)
        return (f"{collection}:{key}" if self._keys.tagged else f"{collection}::{key}",)


def _first(key: str, found: Sequence[bytes | None]) -> Value | None:
    """The first of the values that were found that is that of the key."""
    values = (open_value(raw, key) for raw in found if raw is not None)
    return next((value for value in values if value is not None), None)
