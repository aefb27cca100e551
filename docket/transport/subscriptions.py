"""One subscribed connection for all callers of an event loop: each follows channels of its own.

There is no task behind it: whoever waits also reads, for all others, as on the connection of the commands. What comes
for a caller that does not read at the moment is kept for it, up to a limit, so it holds up nobody.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..standins import redis_errors
from .loops import PerLoop
from .pubsub import AT_A_TIME, Published, PubSub
from .resp import encode
from .waiting import AwaitedReply, Backend

if TYPE_CHECKING:
    from .client import Client
    from .connection import Connection

__all__ = ["KEPT", "Subscription", "Subscriptions"]

#: How many messages are kept for a subscription that does not receive; then the oldest half of what may go goes.
KEPT = 1024


class Subscriptions:
    """The subscriptions of all callers of ``client``, in any number of event loops: one connection for each loop.

    It is opened with the first subscription, and stays open for the next ones.
    """

    def __init__(self, client: Client) -> None:
        self._shared = PerLoop[_Shared](lambda backend: _Shared(client, backend), _Shared.close)

    def new(self, *channels: bytes | str, may_go: Callable[[bytes], bool] | None = None) -> Subscription:
        """A subscription of channels, not yet begun. ``may_go`` tells of what channels old messages are dropped first
        for a caller that does not read them.
        """
        return Subscription(self, self._shared.here(), tuple(map(encode, channels)), may_go or _any)


class Subscription:
    """Some channels, as one caller follows them. One task uses it; it ends with ``end`` or when it is forgotten.

    A lost connection raises ConnectionError from ``receive``; ``begin`` subscribes anew. What was published in between
    is lost, therefore the error. The same where the event loop that it belongs to has ended.
    """

    def __init__(
        self,
        group: Subscriptions,
        shared: _Shared,
        channels: tuple[bytes, ...],
        may_go: Callable[[bytes], bool],
    ) -> None:
        self._group = group  # whose end would close the connection
        self._shared, self._mail = shared, _Mail(may_go)
        self._channels = channels
        self._connection: Connection | None = None
        self._ended = False
        self._at_once = 0

    async def begin(self) -> None:
        """Subscribe; returns after the server has confirmed. What comes from then on is received.

        Raises: ResponseError - the user may not; ConnectionError, TimeoutError. Cancel: safe; ``end`` it.
        """
        self._mail.kept.clear()
        self._connection = None
        self._connection = await self._shared.subscribe(self._channels, self._mail)

    @property
    def has_more(self) -> bool:
        """Whether a message is there already."""
        return bool(self._mail.kept)

    async def receive(self) -> bytes:
        """Return the next message.

        Raises: ConnectionError, TimeoutError - the connection was lost. Cancel: safe, no message is lost.
        """
        kept = self._mail.kept
        if kept:
            self._at_once += 1
            if self._at_once >= AT_A_TIME:
                self._at_once = 0
                await self._shared.backend.checkpoint()
        while not kept:
            self._at_once = 0
            await self._shared.wait(self._mail, self._connection)
        return kept.popleft().payload

    def end(self) -> None:
        """Unsubscribe. Never suspends; idempotent. From any thread."""
        self._mail.kept.clear()
        if not self._ended:
            self._ended = True
            leave = self._shared.unsubscribe
            if self._shared.backend.is_current():
                leave(self._channels, self._mail)
            else:
                self._shared.backend.soon(leave, self._channels, self._mail)

    def __del__(self) -> None:
        # Forgotten anywhere, also in the midst of a step of the connection: so it is given up a little later.
        if not self._ended and not sys.is_finalizing():
            self._shared.backend.soon(self._shared.unsubscribe, self._channels, self._mail)


class _Mail:
    """What has come for one subscription, and the caller that waits for it."""

    __slots__ = ("_may_go", "awaited", "kept")

    def __init__(self, may_go: Callable[[bytes], bool]) -> None:
        self._may_go = may_go
        self.kept: deque[Published] = deque()
        self.awaited: AwaitedReply | None = None

    def keep(self, message: Published) -> None:
        self.kept.append(message)
        if len(self.kept) > KEPT:
            self._thin_out()

    def _thin_out(self) -> None:
        """Drop the oldest half of what may go; half of everything, where that is not enough."""
        newest = [self.kept.pop() for _ in range(KEPT // 2)]
        stay = [message for message in self.kept if not self._may_go(message.channel)]
        self.kept.clear()
        self.kept.extend(stay[-KEPT // 4 :])
        self.kept.extend(reversed(newest))


class _Shared:
    """The connection of one event loop, and who follows what."""

    def __init__(self, client: Client, backend: Backend) -> None:
        self.backend = backend
        self._pubsub = PubSub(client, deliver=self._deliver)
        self._followers: dict[bytes, dict[_Mail, None]] = {}

    async def subscribe(self, channels: tuple[bytes, ...], mail: _Mail) -> Connection:
        """Have the messages of channels kept in ``mail``; return the connection that they come by."""
        for channel in channels:
            self._followers.setdefault(channel, {})[mail] = None
        try:
            return await self._pubsub.subscribe_by(channels)
        except redis_errors.RedisError:
            self.unsubscribe(channels, mail)
            raise

    def unsubscribe(self, channels: tuple[bytes, ...], mail: _Mail) -> None:
        """Keep nothing more in ``mail``, and give up channels that nobody else follows. Never suspends."""
        given_up: list[bytes] = []
        for channel in channels:
            followers = self._followers.get(channel, {})
            followers.pop(mail, None)
            if not followers and self._followers.pop(channel, None) is not None:
                given_up.append(channel)
        self._pubsub.give_up(given_up)
        if self._pubsub.may_not_give_up and not self._followers:
            self._pubsub.close()

    async def wait(self, mail: _Mail, connection: Connection | None) -> None:
        """Wait until something was put into ``mail``; raise the error of a ``connection`` that is lost."""
        if connection is None or connection is not self._pubsub.connection:
            raise redis_errors.ConnectionError("Connection lost: another one was opened meanwhile")
        awaited = mail.awaited = AwaitedReply()
        try:
            await self._pubsub.drive(connection, awaited)
        finally:
            mail.awaited = None

    def close(self) -> None:
        self._pubsub.close()
        self._followers.clear()

    def _deliver(self, message: Published) -> None:
        """Called by whoever reads."""
        for mail in list(self._followers.get(message.channel, ())):
            mail.keep(message)
            if mail.awaited is not None:
                self._pubsub.settle(mail.awaited)


def _any(channel: bytes) -> bool:
    return True
