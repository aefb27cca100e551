"""The nodes of a cluster: a client for each, and the map of slots, read again when in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import anyio
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from ..client import Client
from ..connector import Connector
from ..errors import faults
from ..loops import PerLoop
from ..waiting import Semaphore
from .slots import SLOTS, NodeAddress, Range, read_map, redirected_to

__all__ = ["Nodes"]

#: How many seconds one node gets to return the map of slots before the next one is asked.
_PATIENCE = 2.0


class Nodes:
    """Which node owns which slot. The map is read when first needed, and again after a redirection or a lost node.

    One caller reads it at a time, the others share the result. All event loops share the map; a reader replaces it
    as a whole.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._clients: dict[str, Client] = {}
        self._owners: list[Client | None] = [None] * SLOTS
        #: The nodes to ask for the map, in this order; the one asked last is the last.
        self._known: list[NodeAddress] = list(connector.address.hosts)
        self._primaries: list[Client] = []
        self._doubtful = True
        #: One reader per loop: a reader waits for none of another loop.
        self._reading = PerLoop(Semaphore)
        self._readings = 0
        self._failure: RedisError | None = None

    # Owners.

    def owner_now(self, slot: int) -> Client | None:
        """Return the owner of a slot if it is known and not in doubt."""
        return None if self._doubtful else self._owners[slot]

    async def owner(self, slot: int) -> Client:
        """Return the owner of a slot.

        Raises: ClusterDownError - it has none; Unreachable - no node answers; ResponseError - it is no cluster.
        """
        if self._doubtful or self._owners[slot] is None:
            await self._read()
        if (owner := self._owners[slot]) is None:
            self._doubtful = True
            raise ClusterDownError(f"Hash slot {slot} is not served by any node")
        return owner

    async def primaries(self) -> Sequence[Client]:
        """Return every node that owns slots."""
        if self._doubtful:
            await self._read()
        return list(self._primaries)

    def at_address(self, name: str) -> Client | None:
        """Return the client of the node at an address."""
        return self._clients.get(name)

    def doubt(self, node: Client | None = None) -> None:
        """Read the map again before the next command; ask ``node`` last."""
        self._doubtful = True
        if node is not None:
            self._put_last((node.address.host, node.address.port))

    async def follow(self, error: AskError, node: Client) -> Client:
        """Return the node that ``node`` redirects to; read its map if the slot has moved for good."""
        place = redirected_to(error, node.address.host)
        target = self._client(place)
        if isinstance(error, MovedError) and self._owners[error.slot_id] is not target:
            self._doubtful = True
            self._put_first(place)
            await self._read()
            target = self._client(place)
            self._owners[error.slot_id] = target  # the node that returned the map may not know yet
        return target

    def close(self) -> None:
        """Close all connections."""
        for client in list(self._clients.values()):
            client.close()
        self._reading.end()
        self._clients.clear()
        self._owners = [None] * SLOTS
        self._doubtful = True

    # Reading the map.

    async def _read(self) -> None:
        readings = self._readings
        async with self._reading.here():
            if self._readings != readings:
                if self._failure is not None:
                    raise copy(self._failure) from self._failure
                return
            try:
                await self._ask_all()
            except RedisError as error:
                self._failure = error
                self._readings += 1
                raise
            self._failure = None
            self._readings += 1

    async def _ask_all(self) -> None:
        refusals: list[str] = []
        refused: faults.ProviderRefused | None = None
        for place in tuple(self._known):
            client = self._client(place)
            try:
                with anyio.fail_after(min(_PATIENCE, client.address.connect_timeout)):
                    ranges = read_map(await client.call("CLUSTER", "SLOTS"), client.address.host)
            except ResponseError as error:
                if "cluster support disabled" in str(error):
                    raise ResponseError(f"{client.address} is no node of a cluster: use redis://") from error
                if not isinstance(error, ClusterDownError):
                    raise
                refusals.append(f"{client.address}: {error}")
            except faults.ProviderRefused as error:  # another node may know the new password by now
                refused = error
            except AuthenticationError:
                raise
            except (OSError, ConnectionError, TimeoutError) as error:
                refusals.append(str(error) or f"{client.address}: no answer")
            else:
                self._put_last(place)
                if ranges:
                    return self._adopt(ranges)
                refusals.append(f"{client.address} knows of no slots")
        if refused is not None:
            raise refused
        raise faults.Unreachable(f"Cannot reach {self._connector.address}: {'; '.join(refusals)}")

    def _adopt(self, ranges: Sequence[Range]) -> None:
        owners: list[Client | None] = [None] * SLOTS
        primaries: dict[Client, None] = {}
        places: dict[NodeAddress, None] = {}
        for first, last, owner, replicas in ranges:
            client = self._client(owner)
            owners[first : last + 1] = [client] * (last + 1 - first)
            primaries[client] = None
            places.update(dict.fromkeys((owner, *replicas)))
        self._owners, self._primaries, self._doubtful = owners, list(primaries), False
        places.update(dict.fromkeys(self._connector.address.hosts))
        asked = [place for place in self._known if place in places]
        self._known = [*(place for place in places if place not in asked), *asked]
        names = {str(self._connector.address.at(*place)) for place in self._known}
        for name in [name for name in list(self._clients) if name not in names]:
            if (client := self._clients.pop(name, None)) is not None:
                client.close()  # it has left the cluster

    def _client(self, place: NodeAddress) -> Client:
        name = str(self._connector.address.at(*place))
        client = self._clients.get(name)
        if client is None:
            client = self._clients.setdefault(name, Client(self._connector.at(*place)))
        return client

    def _put_first(self, place: NodeAddress) -> None:
        self._known = [place, *(other for other in self._known if other != place)]

    def _put_last(self, place: NodeAddress) -> None:
        self._known = [*(other for other in self._known if other != place), place]
