"""A store of one docket named ``d`` on a fresh server of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from docket.store import (
    ByHand,
    Claims,
    Delivery,
    DueTasks,
    Groups,
    Keys,
    Liveness,
    Message,
    Pauses,
    Records,
    Schedule,
    Trees,
)
from docket.transport import Client
from tests.store.keyspace import keyspace

PAST = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)  # 1000000000
FUTURE = datetime(2065, 1, 24, 5, 20, tzinfo=UTC)  # 3000000000


def message(key: str = "k", when: datetime = PAST, **extra: str) -> Message:
    """A call of ``f`` with payloads that are no pickles: no script looks into them."""
    fields = {name.encode(): value.encode() for name, value in extra.items()}
    return Message(key=key, when=when, function="f", args=b"ARGS", kwargs=b"KWARGS", extra=fields)


def fields(key: str = "k", when: datetime = PAST, generation: int = 1, **more: str) -> dict[str, str]:
    """What a stream entry or a parked hash of such a message holds."""
    named = {"key": key, "when": when.isoformat(), "function": "f", "args": "ARGS", "kwargs": "KWARGS"}
    return {**named, "attempt": "1", "generation": str(generation), **more}


def run(state: str, generation: int = 1, when: str = "1000000000", **more: str) -> dict[str, str]:
    """What the record of such a message holds."""
    placed = {
        "generation": str(generation),
        "when": when,
        "function": "f",
        "args": "ARGS",
        "kwargs": "KWARGS",
    }
    return {"state": state, **placed, **more}


RUNNING_PROGRESS = {"current": "0", "total": "100", "generation": "1"}


@attrs.define(eq=False)
class Store:
    """Everything that reads and writes the docket ``d``."""

    client: Client
    ttl: timedelta = timedelta(minutes=15)
    keys: Keys = attrs.field(factory=lambda: Keys("d"))

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.client, self.keys, self.ttl)

    @property
    def due(self) -> DueTasks:
        return DueTasks(self.client, self.keys, self.ttl)

    @property
    def records(self) -> Records:
        return Records(self.client, self.keys)

    @property
    def liveness(self) -> Liveness:
        return Liveness(self.client, self.keys, timedelta(seconds=10))

    @property
    def groups(self) -> Groups:
        return Groups(self.client, self.keys, self.ttl)

    @property
    def trees(self) -> Trees:
        return Trees(self.client, self.keys)

    @property
    def pauses(self) -> Pauses:
        return Pauses(self.client, self.keys)

    def claims(self, worker: str = "w") -> Claims:
        return Claims(self.client, self.keys, worker, self.ttl)

    async def abandoned(self, idle: timedelta = timedelta(0)) -> list[bytes]:
        """The ids of what nobody has renewed for so long."""
        return [p.message_id for p in await self.claims().sweeping.look() if p.idle >= idle]

    async def everything(self) -> dict[str, object]:
        """The whole keyspace."""
        return await keyspace(self.client)

    async def running(self, key: str = "k", worker: str = "w") -> Delivery:
        """Place a task and claim it."""
        await self.schedule.place(message(key), replace=False)
        return await self.claimed(worker)

    async def claimed(self, worker: str = "w") -> Delivery:
        """The next delivery, claimed."""
        claims = self.claims(worker)
        await claims.create_group()
        (taken,) = await claims.take(1)
        assert isinstance(taken, Delivery)
        return taken


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with Client.from_url(url) as client:
        yield Store(client)


@pytest.fixture
async def heard(store: Store) -> AsyncIterator[Heard]:
    """Everything that is published, from now on."""
    async with store.client.pubsub() as pubsub:
        await pubsub.psubscribe("*")
        yield Heard(store.client, pubsub)


class Heard:
    """What was published since the last look."""

    def __init__(self, client: Client, pubsub: object) -> None:
        self._client, self._pubsub = client, pubsub

    async def all(self) -> list[tuple[str, str]]:
        """Channel and payload of each event: all that were published before this call."""
        await self._client.publish("end", "")
        events: list[tuple[str, str]] = []
        while (event := await self._pubsub.receive()).channel != b"end":  # type: ignore[attr-defined]
            events.append((event.channel.decode(), event.payload.decode()))
        return events


def by_hand(store: Store) -> ByHand:
    return ByHand(store.client, store.keys, store.ttl)
