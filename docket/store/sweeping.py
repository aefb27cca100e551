"""Looking after what dead workers leave: their deliveries, and their places in the consumer group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from .. import clock
from ..moments import LONGEST
from ..standins import redis_errors
from ..transport import Client
from ..values import define, frozen
from . import script_calls
from .answers import answers, check_expires, naming
from .keys import GROUP, Keys
from .lanes import Lanes
from .levels import stream_with
from .records import read_mapping
from .schedule import milliseconds

__all__ = ["PENDING_PAGE", "PendingDelivery", "Sweeping"]

#: Deliveries that one look at the pending list sees: it keeps the server for a millisecond, however long the list.
PENDING_PAGE = 1000

#: Keys with a successor that one script looks at.
SUCCESSORS = 50

#: Why an entry is set aside that nobody can claim: its acknowledgement would go to another stream. How much of it is
#: kept, names and values, and for how long (discard.lua).
STRAY, MOST_KEPT, DEAD_MS = "its id is not one of the stream on which it was", 60, 7 * 86_400_000

#: Consumers that one script removes: three commands each.
RETIRE_CHUNK = 100


@frozen
class PendingDelivery:
    """A delivery that is not acknowledged.

    ``idle`` is how long ago it was delivered or renewed, ``deliveries`` how often it was delivered.
    """

    message_id: bytes
    holder: bytes
    idle: timedelta
    deliveries: int


@define(eq=False)
class Sweeping:
    """What one worker does about the deliveries and consumers of others on one docket."""

    client: Client
    keys: Keys
    worker: str
    lanes: Lanes

    async def hold_lease(self, duration: timedelta) -> bool:
        """Whether this worker is the one that sweeps for the next ``duration``, of those that serve the same levels.

        Raises: KeyUnreadable - something else is where the lease should be; RedisError.
        """
        lease = self.keys.sweep_lease
        if not self.lanes.serves_all:
            lease = f"{lease}:{','.join(level.value for level in self.lanes.serves)}"
        return await self._hold(lease, duration)

    async def hold_groups_lease(self, duration: timedelta) -> bool:
        """Whether this worker is the one that looks after task groups for the next ``duration``. Raises: the same."""
        return await self._hold(self.keys.groups_lease, duration)

    async def _hold(self, lease: str, duration: timedelta) -> bool:
        if await self.client.call("SET", lease, self.worker, "NX", "PX", milliseconds(duration)) is not None:
            return True
        with naming(lease, "string"):
            if await self.client.call("GET", lease) == self.worker.encode():
                await self.client.call("PEXPIRE", lease, milliseconds(duration))
                return True
        await check_expires(self.client, lease)
        return False

    async def look(self, after: bytes = b"") -> list[PendingDelivery]:
        """The first `PENDING_PAGE` deliveries behind an id, those of each lane in the order of their ids; fewer: these
        are the last.

        Not by ``XPENDING ... IDLE``, which goes through the whole list where nothing is idle for so long. What is where
        its id says that it is not is set aside: no worker would ever be rid of it.
        """
        return await self._look(after)

    async def look_at_ours(self) -> list[PendingDelivery]:
        """The deliveries that this worker has, whether it has received them or not."""
        ours: list[PendingDelivery] = []
        while True:
            page = await self._look(ours[-1].message_id if ours else b"", self.worker)
            ours += page
            if len(page) < PENDING_PAGE:
                return ours

    async def _look(self, after: bytes, *holder: str) -> list[PendingDelivery]:
        streams, page = self.lanes.streams(), list[list[Any]]()
        if after and (stream := stream_with(self.keys, after)) in streams:
            del streams[: streams.index(stream)]
        start = b"(" + after if after else b"-"
        for stream in streams:
            left = PENDING_PAGE - len(page)
            if left > 0:
                reply = await self.client.call("XPENDING", stream, GROUP, start, "+", left, *holder)
                found = cast("list[list[Any]]", reply)
                page += found
                if strays := [entry[0] for entry in found if stream_with(self.keys, entry[0]) != stream]:
                    await self._set_aside(stream, strays)
            start = b"-"
        return [
            PendingDelivery(bytes(message_id), bytes(holder), _idle(idle), int(deliveries))
            for message_id, holder, idle, deliveries in page
        ]

    async def _set_aside(self, stream: str, strays: Sequence[bytes]) -> None:
        """Set entries aside that somebody has put on a stream with ids of another lane."""
        dead, at = self.keys.dead, clock.now().isoformat()
        found = answers(await self.client.call_many([("XRANGE", stream, each, each) for each in strays]))
        commands: list[tuple[Any, ...]] = []
        for stray, reply in zip(strays, found, strict=True):
            entries = cast("list[tuple[bytes, list[bytes]]]", reply) if isinstance(reply, list) else []
            fields = entries[0][1][:MOST_KEPT] if entries else []
            why = "dead:id", stray, "dead:reason", STRAY, "dead:at", at
            commands.append(("XADD", dead, "MAXLEN", "~", 1000, "*", *why, *fields))
        commands += ("PEXPIRE", dead, DEAD_MS), ("XACK", stream, GROUP, *strays), ("XDEL", stream, *strays)
        commands.append(("PUBLISH", self.keys.wake, "finished"))  # maybe; whoever waits for that looks
        await self.client.call_many(commands)

    async def place_successors(self) -> int:
        """Place what is to run once more after runs that pydocket has ended; return how many. Looks at some keys.

        One command where there is nothing of the kind.
        """
        if not await self.client.call("EXISTS", self.keys.successors):
            return 0
        call = script_calls.place_successors(self.keys, limit=SUCCESSORS)
        return cast("int", await self.client.run(*call))

    async def retire_consumers(self, idle: timedelta, expiry: timedelta) -> int:
        """Remove the consumers of dead workers; return how many were.

        Those that have read nothing for ``idle``, hold no delivery, and whose worker had no heartbeat for
        ``expiry``: the last two are looked at in the step that removes them, so no delivery is lost with one. A
        worker that lives all the same becomes a consumer again when it next reads.
        """
        idle_ms, found = milliseconds(idle), dict[bytes, None]()
        for stream in self.lanes.streams():
            try:
                reply = await self.client.call("XINFO", "CONSUMERS", stream, GROUP)
            except redis_errors.ResponseError as error:
                if str(error).startswith(("no such key", "NOGROUP")):
                    return 0  # the server has just lost everything
                raise
            for flat in cast("list[Any]", reply):
                consumer = cast("dict[bytes, Any]", read_mapping(flat))
                if not consumer[b"pending"] and consumer[b"idle"] >= idle_ms:
                    found[consumer[b"name"]] = None
        names, removed = list(found), 0
        for at in range(0, len(names), RETIRE_CHUNK):
            call = script_calls.retire(
                self.keys,
                expiry_ms=milliseconds(expiry),
                consumers=names[at : at + RETIRE_CHUNK],
            )
            removed += cast("int", await self.client.run(*call))
        return removed


def _idle(ms: int) -> timedelta:
    """How long ago a delivery was renewed; XCLAIM lets anybody set any value."""
    return min(timedelta(milliseconds=min(ms, 10**15)), LONGEST)
