"""The read that waits in the server until a task comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import anyio
import attrs

from ...standins import redis_errors
from ...store import Taken
from ...transport import Client, Connection
from ...values import define

__all__ = ["BlockingRead"]

#: How many seconds the server gets to end a blocking read. Then its connection is closed.
UNBLOCK_SECONDS = 1.0


@define(eq=False)
class BlockingRead:
    """A read that is never cut off: `unblock` ends it and loses no task that the server hands out just then."""

    client: Client
    _connection: tuple[Connection, int] | None = attrs.field(init=False, default=None)
    """The connection that reads, and the number by which another connection can unblock it."""
    _ended: anyio.Event | None = attrs.field(init=False, default=None)
    _scope: anyio.CancelScope | None = attrs.field(init=False, default=None)

    async def use(self, connection: Connection) -> None:
        """Read on ``connection`` from now on. Raises: RedisError."""
        number = await _client_id(connection)
        self._connection = None if number is None else (connection, number)

    async def run(self, read: Callable[[], Awaitable[Sequence[Taken]]]) -> Sequence[Taken]:
        """Return what ``read()`` returns; nothing if its connection had to be closed.

        Cancel: shielded; call `unblock`.
        """
        ended = self._ended = anyio.Event()
        try:
            with anyio.CancelScope(shield=True) as self._scope:
                return await read()
            return ()
        finally:
            self._ended = self._scope = None
            ended.set()

    async def unblock(self) -> None:
        """End the read, if one waits. Where the server does not do that in time, the connection is closed."""
        ended, scope = self._ended, self._scope
        if ended is None or scope is None:
            return
        with anyio.move_on_after(UNBLOCK_SECONDS):
            # The request may overtake the read that it is to end, so it is repeated until the read has ended.
            while self._connection is not None and not ended.is_set():
                try:
                    await self.client.unblock(*self._connection)
                except redis_errors.RedisError:
                    break
                with anyio.move_on_after(0.01):
                    await ended.wait()
        scope.cancel()  # without effect on a read that has ended; else its connection is closed


async def _client_id(connection: Connection) -> int | None:
    """The number by which another connection can unblock this one; None where the server refuses to tell."""
    try:
        return cast("int", await connection.call("CLIENT", "ID"))
    except redis_errors.NoPermissionError:
        return None
