"""Publish and subscribe, on a connection of its own, driven by the callers that receive or subscribe."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import anyio

from ..standins import redis_errors
from ..values import define, frozen
from .connection import Closed, Connection
from .resp import encode, pack
from .waiting import AwaitedReply, Backend, Semaphore, current_backend

if TYPE_CHECKING:
    from .client import Client
    from .pool import Pool

__all__ = ["AT_A_TIME", "PubSub", "Published"]

#: After so many messages that were there already a receiver lets other tasks run: a busy channel must not keep them
#: from it. One turn of the loop for each message would be too slow: those who publish would always be ahead.
AT_A_TIME = 64


@frozen
class Published:
    """A published message. ``pattern`` is that of the subscription for kind ``pmessage``, else None."""

    kind: Literal["message", "pmessage"]
    pattern: bytes | None
    channel: bytes
    payload: bytes

    def as_dict(self) -> dict[str, Any]:
        """The message as redis-py returns it."""
        return {"type": self.kind, "pattern": self.pattern, "channel": self.channel, "data": self.payload}


@frozen
class _Confirmation:
    """The server's reply to one name of a subscribe or unsubscribe command."""

    kind: str
    name: bytes | None
    count: int

    def as_dict(self) -> dict[str, Any]:
        return {"type": self.kind, "pattern": None, "channel": self.name, "data": self.count}


@define(eq=False)
class _Unconfirmed:
    """A command on its way, and how many confirmations are still to come."""

    awaited: AwaitedReply
    left: int


@define(eq=False)
class _Line:
    """The present connection of a subscriber."""

    pool: Pool
    connection: Connection


class PubSub:
    """A subscriber; use it as an async context manager, which closes its connection.

    One task receives at a time; others of the same event loop may subscribe meanwhile. A lost connection raises
    ConnectionError from ``receive()`` until ``reconnect()`` or a new subscription; then all subscriptions are made
    again. Messages published in between are lost, therefore the error. After ``socket_timeout`` of silence the server
    gets a PING; without a reply within the same time again, ``receive()`` raises TimeoutError.

    With ``deliver`` nobody receives: each message is handed to that as it is read, by whoever reads.
    """

    def __init__(
        self,
        client: Client,
        *,
        ignore_subscribe_messages: bool = False,
        deliver: Callable[[Published], None] | None = None,
    ) -> None:
        self._client = client
        self._ignore = ignore_subscribe_messages
        self._deliver = deliver
        self._at_once = 0  # how many messages were received since others could run
        self._backend: Backend | None = None
        self._connecting: Semaphore | None = None
        self._line: _Line | None = None
        self._events: deque[Published | _Confirmation] = deque()
        self._unconfirmed: deque[_Unconfirmed] = deque()
        self._receiving: AwaitedReply | None = None
        #: The server has refused to unsubscribe: channels are given up with the connection only.
        self.may_not_give_up = False
        #: The subscriptions that the caller wants: names as bytes.
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}

    @property
    def subscribed(self) -> bool:
        """Whether there is any subscription."""
        return bool(self.channels or self.patterns)

    # Subscriptions. Each method returns after the server has confirmed.

    async def subscribe(self, *channels: bytes | str) -> None:
        """Subscribe to channels.

        Raises: ResponseError - the user may not; ConnectionError, TimeoutError. Cancel: the server may still
                do it.
        """
        names = [encode(name) for name in channels]
        await self._add("SUBSCRIBE", self.channels, names)

    async def psubscribe(self, *patterns: bytes | str) -> None:
        """Subscribe to all channels that match glob-style patterns; errors as for ``subscribe``."""
        names = [encode(name) for name in patterns]
        await self._add("PSUBSCRIBE", self.patterns, names)

    async def unsubscribe(self, *channels: bytes | str) -> None:
        """Give up channels, without arguments all of them."""
        names = [encode(name) for name in channels] or list(self.channels)
        for name in names:
            self.channels.pop(name, None)
        await self._remove("UNSUBSCRIBE", names)

    async def punsubscribe(self, *patterns: bytes | str) -> None:
        """Give up patterns, without arguments all of them."""
        names = [encode(name) for name in patterns] or list(self.patterns)
        for name in names:
            self.patterns.pop(name, None)
        await self._remove("PUNSUBSCRIBE", names)

    async def reconnect(self) -> None:
        """Connect again if the connection was lost, and subscribe to everything anew."""
        await self._ready()

    def lose(self, why: str) -> None:
        """Hang up, so that ``receive()`` raises as where the connection is lost. Never suspends; idempotent."""
        if self._line is not None:
            self._line.connection.fail(Closed(why))

    # Messages.

    async def receive(self) -> Published:
        """Return the next message; skips confirmations.

        Raises: RuntimeError - nothing is subscribed, or another task is receiving; ConnectionError - the
                connection was lost, see the class. Cancel: safe, no message is lost.
        """
        while True:
            event = await self._event()
            if isinstance(event, Published):
                return event

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Published:
        return await self.receive()

    async def get_message(
        self, ignore_subscribe_messages: bool = False, timeout: float | None = 0.0
    ) -> dict[str, Any] | None:
        """Return the next message as redis-py's dict, None after ``timeout`` seconds (None: for ever)."""
        ignore = ignore_subscribe_messages or self._ignore
        if timeout == 0:  # no scope: an expired one would cancel before the first look
            self._live().read_now()
            while self._events:
                event = await self._event()
                if isinstance(event, Published) or not ignore:
                    return event.as_dict()
            await anyio.lowlevel.checkpoint()
            return None
        with anyio.move_on_after(timeout):
            while True:
                event = await self._event()
                if isinstance(event, Published) or not ignore:
                    return event.as_dict()
        return None

    async def listen(self) -> AsyncIterator[dict[str, Any]]:
        """Yield messages and confirmations as redis-py's dicts, for as long as anything is subscribed."""
        while self.subscribed or self._events:
            event = await self._event()
            if isinstance(event, Published) or not self._ignore:
                yield event.as_dict()

    # The end.

    def close(self) -> None:
        """Close the connection and forget all subscriptions. Never suspends; idempotent."""
        if self._line is not None:
            self._line.pool.drop(self._line.connection)
            self._line = None
        self.channels.clear()
        self.patterns.clear()
        self._events.clear()
        self._unconfirmed.clear()

    async def aclose(self) -> None:
        """``close()`` as a coroutine."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    # For `Subscriptions`, whose callers share it.

    @property
    def connection(self) -> Connection | None:
        """The present connection, be it lost or not."""
        return None if self._line is None else self._line.connection

    async def subscribe_by(self, channels: Sequence[bytes]) -> Connection:
        """Subscribe to channels, also if they are subscribed; return the connection by which that is confirmed."""
        return await self._add("SUBSCRIBE", self.channels, channels)

    def give_up(self, channels: Sequence[bytes]) -> None:
        """Unsubscribe without waiting for the confirmation. Never suspends."""
        for name in channels:
            self.channels.pop(name, None)
        if channels and self._line is not None and (connection := self._line.connection).error is None:
            nobody = AwaitedReply()
            nobody.done = True  # nobody waits for it
            self._unconfirmed.append(_Unconfirmed(nobody, len(channels)))
            connection.send(pack(("UNSUBSCRIBE", *channels)))
            connection.push()

    async def drive(self, connection: Connection, awaited: AwaitedReply) -> None:
        """Read, or let others read, until ``awaited`` is settled; raise the error of a lost connection."""
        connection.expect(awaited)
        try:
            await connection.drive(awaited)
        finally:
            connection.settle(awaited)
        if awaited.fault is not None:
            raise awaited.fault() from connection.error

    def settle(self, awaited: AwaitedReply) -> None:
        """Let ``drive`` return."""
        if self._line is not None:
            self._line.connection.settle(awaited)

    # Inside.

    async def _event(self) -> Published | _Confirmation:
        if self._events and self._backend is not None:
            self._live()
            self._at_once += 1
            if self._at_once >= AT_A_TIME:
                self._at_once = 0
                await self._backend.checkpoint()
        while not self._events:
            connection = self._live()
            if not (self.subscribed or self._unconfirmed):
                raise RuntimeError("Nothing is subscribed: await subscribe() or psubscribe() first")
            if self._receiving is not None:
                raise RuntimeError("Another task is receiving from this subscriber")
            awaited = self._receiving = AwaitedReply()
            self._at_once = 0
            try:
                await self.drive(connection, awaited)
            finally:
                self._receiving = None
        return self._events.popleft()

    def _live(self) -> Connection:
        if self._line is None:
            raise RuntimeError("Nothing is subscribed: await subscribe() or psubscribe() first")
        connection = self._line.connection
        if self._backend is not None and not self._backend.is_current():
            self._leave_other_loop(self._line)
        if connection.error is not None and not self._events:
            raise redis_errors.ConnectionError(f"Connection lost: {connection.error}") from connection.error
        return connection

    def _leave_other_loop(self, line: _Line) -> None:
        """Hang up what was opened in an event loop that is over.

        Raises: RuntimeError - it is not.
        """
        if self._backend is not None and not self._backend.rests():
            raise RuntimeError("This subscriber is used in another event loop: make one for each")
        line.pool.drop(line.connection)

    async def _add(self, verb: str, subscribed: dict[bytes, None], names: Sequence[bytes]) -> Connection:
        added = [name for name in names if name not in subscribed]
        subscribed.update(dict.fromkeys(added))
        try:
            connection, fresh = await self._ready()
            if not fresh and names:  # else connecting has subscribed to these, too
                await self._confirmed(connection, [(verb, names)])
        except redis_errors.ResponseError:
            for name in added:  # not wanted again when reconnecting
                subscribed.pop(name, None)
            raise
        return connection

    async def _remove(self, verb: str, names: Sequence[bytes]) -> None:
        if names and self._line is not None:
            connection, _ = await self._ready()
            await self._confirmed(connection, [(verb, names)])

    async def _confirmed(
        self, connection: Connection, commands: Sequence[tuple[str, Sequence[bytes]]]
    ) -> None:
        awaited_replies: list[AwaitedReply] = []
        for _, names in commands:
            awaited_replies.append(AwaitedReply())
            self._unconfirmed.append(_Unconfirmed(awaited_replies[-1], len(names)))
        last, limit = (
            awaited_replies[-1],
            None if self._client.is_memory else self._client.address.socket_timeout,
        )
        connection.send(b"".join(pack((verb, *names)) for verb, names in commands))
        with anyio.move_on_after(limit):
            if not last.done:
                await self.drive(connection, last)
        if not last.done:
            connection.fail(redis_errors.TimeoutError(f"No answer from the server for {limit:.6g} s"))
        for awaited in awaited_replies:
            if awaited.fault is not None:
                raise awaited.fault() from connection.error

    async def _ready(self) -> tuple[Connection, bool]:
        """Return the connection, and whether it was opened just now, with everything subscribed."""
        if self._connecting is None or self._backend is None or not self._backend.is_current():
            if self._line is not None:
                self._leave_other_loop(self._line)
            self._backend = current_backend()
            self._connecting = Semaphore(self._backend)
        async with self._connecting:
            if self._line is not None:
                if self._line.connection.is_usable() and self._client.serves(self._line.connection):
                    return self._line.connection, False
                self._line.pool.drop(self._line.connection)
                self._unconfirmed.clear()
            pool, connection = await self._client.open()
            connection.subscribe_to_replies(self._take, pack(("PING",)), unread=self._deliver is None)
            self._line = _Line(pool, connection)
            wanted = [("SUBSCRIBE", list(self.channels)), ("PSUBSCRIBE", list(self.patterns))]
            wanted = [(verb, names) for verb, names in wanted if names]
            if wanted:
                await self._confirmed(connection, wanted)
            return connection, True

    def _take(self, reply: Any) -> None:
        """Process one reply of the server; called by the caller that reads."""
        line = self._line
        if line is None:
            return
        if isinstance(reply, redis_errors.RedisError):
            if self._unconfirmed:
                refused = self._unconfirmed.popleft().awaited
                self.may_not_give_up |= refused.done
                refused.fault = lambda: reply
                line.connection.settle(refused)
            return
        parts = cast("list[Any]", reply) if isinstance(reply, list) else []
        keep = self._deliver or self._events.append
        match parts:
            case [b"message", bytes(channel), bytes(payload)]:
                keep(Published("message", None, channel, payload))
            case [b"pmessage", bytes(pattern), bytes(channel), bytes(payload)]:
                keep(Published("pmessage", pattern, channel, payload))
            case [b"subscribe" | b"psubscribe" | b"unsubscribe" | b"punsubscribe", name, int(count)]:
                if self._deliver is None:
                    self._events.append(_Confirmation(parts[0].decode(), name, count))
                if self._unconfirmed:
                    self._unconfirmed[0].left -= 1
                    if not self._unconfirmed[0].left:
                        line.connection.settle(self._unconfirmed.popleft().awaited)
            case _:
                return
        if self._receiving is not None:
            line.connection.settle(self._receiving)
