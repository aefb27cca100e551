"""The new entries of a stream, as far as they have arrived: for callers that may not await.

The server sends them by itself because it owes a reply: a read that blocks for ever is outstanding on a connection of
its own. A single read would miss entries between its reply and the next read. So many reads are sent at once, and
before each of them, in the same step of the server, one for the last entries: nothing falls in between.
"""

from __future__ import annotations

import math
import sys
from threading import RLock
from typing import Any, TypeAlias, cast

from ..standins import redis_errors
from .client import Client
from .connection import Closed, Connection
from .resp import Argument, pack

__all__ = ["HELD", "Entry", "Tail", "entry_number"]

#: How many blocking reads are outstanding: so many additions the server reports before the caller has to look.
HELD = 32

#: How many of the last entries are read as a blocking read begins.
OVERLAP = 64

Entry: TypeAlias = tuple[bytes, list[bytes]]
"""The id of an entry, and its flat fields."""


def entry_number(entry_id: bytes) -> tuple[int, int]:
    """An id in a form that can be compared: milliseconds of the server's clock, and a count. ``b""`` is the least."""
    ms, _, count = entry_id.partition(b"-")
    return (int(ms), int(count or b"0")) if ms else (0, 0)


class Tail:
    """Follows the stream ``key`` on the server of ``client`` (on a cluster: on its home).

    It has a connection of its own and never waits: any thread may look, with or without an event loop, also after the
    end of the one in which it was opened.

    An entry surely stays on the stream for ``kept_ms``: looking back further than that is not trusted.
    """

    def __init__(self, client: Client, key: Argument, *, kept_ms: float = math.inf) -> None:
        self._client, self._kept_ms = client, kept_ms
        self._reading = pack(("XREVRANGE", key, "+", "-", "COUNT", OVERLAP)) + pack(
            ("XREAD", "BLOCK", 0, "STREAMS", key, "$")
        )
        self._line: Connection | None = None
        self._lock = RLock()
        self._replies: list[Any] = []
        self._looking_back = True  # whether the next reply has the last entries
        self._outstanding = 0

    @property
    def is_followed(self) -> bool:
        """Whether it was opened and not closed, even if the connection is lost."""
        return self._line is not None

    @property
    def is_open(self) -> bool:
        """Whether the server will report new entries, as far as known."""
        with self._lock:
            return self._line is not None and self._line.is_usable() and self._client.serves(self._line)

    async def open(self) -> None:
        """Follow the stream from now on; read its present entries after this call.

        Raises: redis.exceptions.RedisError - no connection. Cancel: safe.
        """
        self.close()
        pool, connection = await self._client.open()
        with self._lock:
            self.close()  # another caller may have been quicker
            pool.hand_over(connection)
            self._line = connection
            connection.subscribe_to_replies(self._replies.append)
            self._ask(connection)

    def new_entries(self, known: bytes) -> list[Entry]:
        """The entries that have arrived since the last call, in order; never waits. Some may be known already.

        ``known`` is the id up to which the caller has read the stream.
        Raises: redis.exceptions.RedisError - the connection is lost, or there was more between two calls than the
                server reports (at least `HELD` additions): entries are missing. `open` begins anew.
        """
        with self._lock:
            if self._line is None:
                raise redis_errors.ConnectionError("Not connected")
            connection, found = self._line, list[Entry]()
            if not self._client.serves(connection):
                connection.fail(Closed("the sentinels name another master now"))
            while connection.error is None:
                connection.read_now()
                if not self._replies:
                    break
                replies = self._replies[:]
                self._replies.clear()
                for reply in replies:
                    if connection.error is None:
                        self._take(connection, reply, found, found[-1][0] if found else known)
                self._ask(connection)
            if connection.error is not None and not found:
                raise redis_errors.ConnectionError(
                    f"Connection lost: {connection.error}"
                ) from connection.error
            return found

    def close(self) -> None:
        """Forget the stream. Never suspends; idempotent."""
        with self._lock:
            if self._line is not None:
                self._line.fail(Closed("Connection closed by client"))
                self._line = None
            self._replies = []
            self._looking_back, self._outstanding = True, 0

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.close()

    def _ask(self, connection: Connection) -> None:
        """Top up the outstanding reads to `HELD`."""
        if (missing := HELD - self._outstanding) and connection.error is None:
            self._outstanding = HELD
            connection.send(self._reading * missing)
        connection.push()

    def _take(self, connection: Connection, reply: Any, found: list[Entry], known: bytes) -> None:
        looking_back, self._looking_back = self._looking_back, not self._looking_back
        if isinstance(reply, redis_errors.RedisError):
            connection.fail(reply)
        elif not looking_back:
            self._outstanding -= 1
            if reply is not None:  # None: another client has ended the wait
                found += cast("list[Entry]", reply[0][1])
        elif reply:
            self._look_back(connection, cast("list[Entry]", reply[::-1]), found, known)

    def _look_back(self, connection: Connection, last: list[Entry], found: list[Entry], known: bytes) -> None:
        """Take the new ones of the last entries, unless there may have been others before them."""
        since = entry_number(known)
        new = [entry for entry in last if entry_number(entry[0]) > since]
        too_long = bool(new and known) and entry_number(new[-1][0])[0] - since[0] > self._kept_ms
        if too_long or len(new) == OVERLAP:
            connection.fail(Closed("more entries have come than the server reports between two looks"))
        else:
            found += new
