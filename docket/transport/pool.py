"""The connections of one client, by event loop: one that all callers share, others for one caller each."""

from __future__ import annotations

from copy import copy
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import anyio

from ..standins import redis_errors
from .connection import Closed, ClosedForGood, Connection
from .connector import Connector
from .errors import faults
from .loops import PerLoop
from .waiting import Backend, Semaphore, call_there

if TYPE_CHECKING:
    from ..memory import Hold

__all__ = ["Pool", "Pools"]

_CLOSED = "Connection closed by client"


class Pool:
    """Belongs to the event loop it was made in. Others may only call ``drop``, and ``close`` after its end."""

    def __init__(self, connector: Connector, backend: Backend) -> None:
        self._connector, self._backend = connector, backend
        self._shared: Connection | None = None
        self._connecting = Semaphore(self._backend)
        self._failures = 0
        self._failure: redis_errors.RedisError | None = None
        self._limit = Semaphore(self._backend, connector.address.max_connections)
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._attempts: set[anyio.CancelScope] = set()
        #: One caller loads scripts at a time, see `scripts.ensure_loaded`; ``loads`` counts how often each was loaded.
        self.loading = Semaphore(self._backend)
        self.loads: dict[str, int] = {}
        self.closed = False

    def shared_now(self) -> Connection | None:
        """Return the shared connection if it can be used at once."""
        shared = self._shared
        return shared if shared is not None and shared.is_usable() else None

    async def shared(self) -> Connection:
        """Return the shared connection; connect if need be. One caller connects, the others share the outcome.

        Raises: as ``Connector.connect``; ConnectionError - the client was closed meanwhile.
        """
        failures = self._failures
        async with self._connecting:
            if (shared := self.shared_now()) is not None:
                return shared
            if self._failures != failures and self._failure is not None:
                raise copy(self._failure) from self._failure
            try:
                shared = self._shared = await self._connect()
            except redis_errors.RedisError as error:
                self._failures += 1
                self._failure = error
                raise
            return shared

    async def acquire(self) -> Connection:
        """Return a connection for the caller alone; wait while ``max_connections`` of them are out."""
        await self._limit.acquire()
        try:
            connection: Connection | None = None
            while self._idle and connection is None:
                candidate = self._idle.pop()
                connection = candidate if candidate.is_usable() else None
            connection = connection or await self._connect()
        except BaseException:
            self._limit.release()
            raise
        self._busy.add(connection)
        return connection

    def release(self, connection: Connection, *, reusable: bool = True) -> None:
        """Take back a connection of ``acquire``; close it unless it is settled and ``reusable``. Never suspends."""
        if connection in self._busy:
            self._busy.remove(connection)
            if reusable and connection.is_settled and not self.closed:
                self._idle.append(connection)
            else:
                connection.fail(Closed("Connection abandoned by its caller"))
            self._limit.release()

    async def open(self) -> Connection:
        """Return a new connection for a subscriber; not counted against ``max_connections``."""
        connection = await self._connect()
        self._busy.add(connection)
        return connection

    def drop(self, connection: Connection) -> None:
        """Close a connection of ``open``; idempotent. Never suspends. From any thread."""
        call_there(self._backend, self._drop, connection)

    def _drop(self, connection: Connection) -> None:
        self._busy.discard(connection)
        connection.fail(Closed(_CLOSED))

    def hand_over(self, connection: Connection) -> None:
        """Let a connection of ``open`` outlive the pool: the caller closes it."""
        self._busy.discard(connection)

    def close_shared(self, why: str) -> None:
        """Close all connections that no single caller has: the next callers connect anew. Never suspends."""
        for connection in (self._shared, *self._idle):
            if connection is not None:
                connection.fail(Closed(why))
        self._idle.clear()
        self._shared = None

    def close_all_but(self, peer: str, why: str) -> None:
        """Close all connections to other servers than ``peer``; callers that wait there get ConnectionError."""
        for connection in (self._shared, *self._idle, *self._busy):
            if connection is not None and connection.peer != peer:
                connection.fail(Closed(why))

    def close(self) -> None:
        """Close all connections; callers in flight get ConnectionError. Never suspends."""
        self.closed = True
        for connection in (self._shared, *self._idle, *self._busy):
            if connection is not None:
                connection.fail(ClosedForGood(_CLOSED))
        self._idle.clear()
        self._shared = None
        if self._backend.is_current():  # else those attempts ended with the loop, or see ``closed``
            for attempt in self._attempts:
                attempt.cancel()

    async def _connect(self) -> Connection:
        if self.closed:
            raise faults.ClientClosed(_CLOSED)
        with anyio.CancelScope() as attempt:
            self._attempts.add(attempt)
            try:
                connection = await self._connector.connect(self._backend)
            finally:
                self._attempts.discard(attempt)
            if not self.closed:
                return connection
            connection.fail(ClosedForGood(_CLOSED))
        raise faults.ClientClosed(_CLOSED)


class Pools(PerLoop[Pool]):
    """The pools of one client. They keep a server in this process alive, also between two event loops."""

    __slots__ = ("_connector", "_hold", "_holding")

    def __init__(self, connector: Connector) -> None:
        super().__init__(partial(Pool, connector), Pool.close)
        self._connector = connector
        self._hold: Hold | None = None
        self._holding = Lock()

    def begin(self) -> Pool:
        """The pool of the running event loop, for callers that may connect."""
        if self._hold is None:
            with self._holding:
                self._hold = self._hold or self._connector.hold()
        return self.here()

    def end(self) -> None:
        """Close all pools: here at once, elsewhere as soon as that loop gets to it. Never suspends; idempotent."""
        super().end()
        with self._holding:
            hold, self._hold = self._hold, None
        if hold is not None:
            hold.close()
