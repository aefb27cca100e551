"""The connections that one client has, by event loop: one that all callers share, others for one each."""

from __future__ import annotations

from copy import copy
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import anyio
from redis.exceptions import ConnectionError, RedisError

from .connection import Connection
from .connector import Connector
from .loops import PerLoop
from .waiting import Backend, Semaphore, call_there

if TYPE_CHECKING:
    from ..memory import Hold

__all__ = ["Pool", "Pools"]

_CLOSED = "Connection closed by client"


class Pool:
    """Belongs to the event loop it was made in; only ``drop`` may be called in others, ``close`` once that is over."""

    def __init__(self, connector: Connector, backend: Backend) -> None:
        self._connector, self._backend = connector, backend
        self._shared: Connection | None = None
        self._connecting = Semaphore(self._backend)
        self._failures = 0
        self._failure: RedisError = ConnectionError("Not connected")
        self._limit = Semaphore(self._backend, connector.address.max_connections)
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._attempts: set[anyio.CancelScope] = set()
        #: One loader of scripts at a time; see ``scripts.run``.
        self.loading = Semaphore(self._backend)
        self.loads: dict[str, int] = {}
        self.closed = False

    def shared_now(self) -> Connection | None:
        """Return the shared connection if there is one that can be used at once."""
        shared = self._shared
        return shared if shared is not None and shared.is_usable() else None

    async def shared(self) -> Connection:
        """Return the shared connection; connect if need be. One connects, the others share the outcome.

        Raises: see ``Connector.connect``; ConnectionError - the client was closed meanwhile.
        """
        failures = self._failures
        async with self._connecting:
            if (shared := self.shared_now()) is not None:
                return shared
            if self._failures != failures:
                raise copy(self._failure) from self._failure
            try:
                shared = self._shared = await self._connect()
            except RedisError as error:
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
        """Take back what ``acquire`` gave; closed unless it is settled and ``reusable``. Never suspends."""
        if connection in self._busy:
            self._busy.remove(connection)
            if reusable and connection.is_settled and not self.closed:
                self._idle.append(connection)
            else:
                connection.fail(ConnectionError("Connection abandoned by its caller"))
            self._limit.release()

    async def open(self) -> Connection:
        """Return a new connection for a subscriber; not counted against ``max_connections``."""
        connection = await self._connect()
        self._busy.add(connection)
        return connection

    def drop(self, connection: Connection) -> None:
        """Close what ``open`` gave; idempotent. Never suspends. From any thread."""
        call_there(self._backend, self._drop, connection)

    def _drop(self, connection: Connection) -> None:
        self._busy.discard(connection)
        connection.fail(ConnectionError(_CLOSED))

    def lend(self, connection: Connection) -> None:
        """Let what ``open`` gave outlive the pool: the caller closes it."""
        self._busy.discard(connection)

    def forsake(self, why: str) -> None:
        """Close what is not a single caller's: the next ones connect anew. Never suspends."""
        for connection in (self._shared, *self._idle):
            if connection is not None:
                connection.fail(ConnectionError(why))
        self._idle.clear()
        self._shared = None

    def forsake_all_but(self, peer: str, why: str) -> None:
        """Close every connection to another server than ``peer``; who waits there gets ConnectionError."""
        for connection in (self._shared, *self._idle, *self._busy):
            if connection is not None and connection.peer != peer:
                connection.fail(ConnectionError(why))

    def close(self) -> None:
        """Close every connection; whoever is in flight gets ConnectionError. Never suspends."""
        self.closed = True
        for connection in (self._shared, *self._idle, *self._busy):
            if connection is not None:
                connection.fail(ConnectionError(_CLOSED))
        self._idle.clear()
        self._shared = None
        if self._backend.is_current():  # else whoever was connecting ended with the loop, or will see to it
            for attempt in self._attempts:
                attempt.cancel()

    async def _connect(self) -> Connection:
        if self.closed:
            raise ConnectionError(_CLOSED)
        with anyio.CancelScope() as attempt:
            self._attempts.add(attempt)
            try:
                connection = await self._connector.connect(self._backend)
            finally:
                self._attempts.discard(attempt)
            if not self.closed:
                return connection
            connection.fail(ConnectionError(_CLOSED))
        raise ConnectionError(_CLOSED)


class Pools(PerLoop[Pool]):
    """The pools of one client. A server in this process is kept alive by them, also between two event loops."""

    __slots__ = ("_connector", "_hold", "_holding")

    def __init__(self, connector: Connector) -> None:
        super().__init__(partial(Pool, connector), Pool.close)
        self._connector = connector
        self._hold: Hold | None = None
        self._holding = Lock()

    def begin(self) -> Pool:
        """The pool of the running event loop, for one who may connect."""
        if self._hold is None:
            with self._holding:
                self._hold = self._hold or self._connector.hold()
        return self.here()

    def end(self) -> None:
        """Close all of them: here at once, elsewhere as soon as that loop gets to it. Never suspends; idempotent."""
        super().end()
        with self._holding:
            hold, self._hold = self._hold, None
        if hold is not None:
            hold.close()
