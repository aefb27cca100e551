"""The master out of several servers, as named by the sentinels that watch them.

Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

from __future__ import annotations

import math
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from redis.credentials import CredentialProvider
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    ConnectionError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from ..clock import perf_counter
from .client import Client
from .connection import Connection
from .connector import Connector
from .loops import PerLoop
from .pubsub import PubSub
from .resp import Packed
from .url import Address
from .waiting import Backend, Semaphore

__all__ = ["SentinelClient", "SentinelConnector"]

#: How many seconds one sentinel gets at most before the next one is asked.
_PATIENCE = 1.0

#: After so many seconds of silence the master may have been replaced without knowing it: no failover is quicker.
_SILENCE = 1.0

#: For so many seconds after such a silence the sentinels are asked again every second: a failover takes some seconds,
#: and sentinels demote a master that comes back only after eight.
_SUSPECTED = 15.0
_RECHECK = 1.0

#: The longest pause before we subscribe again to a sentinel that was lost.
_LONGEST_PAUSE = 10.0

_SWITCH = "+switch-master"


class SentinelConnector(Connector):
    """Opens connections to the master; asks for its address each time, so it follows a failover."""

    def __init__(self, address: Address, credential_provider: CredentialProvider | None = None) -> None:
        super().__init__(address, credential_provider)
        #: In the order in which they are asked; one that did not help becomes the last.
        self._sentinels = list(address.hosts)
        #: The master that was named last, in the form of ``Connection.peer``.
        self.master = ""

    @property
    def sentinels(self) -> tuple[tuple[str, int], ...]:
        """In the order in which they are asked."""
        return tuple(self._sentinels)

    async def ask_for_master(self, backend: Backend) -> str:
        """Return the master, in the form of ``Connection.peer``, according to the first sentinel that answers.

        Raises: ConnectionError - none answers.
        """
        for sentinel in self.sentinels:
            try:
                with anyio.fail_after(_PATIENCE):
                    return str(self.address.at(*await self._ask(sentinel, backend)))
            except (OSError, RedisError):
                self._put_last(sentinel)
        raise ConnectionError("No sentinel answers")

    async def once(self, backend: Backend) -> Connection:
        """Ask the sentinels in turn until one names a server whose own role is master; connect to that.

        Raises: ConnectionError - there is none; AuthenticationError - a sentinel or the master refuses the credentials.
        """
        refusals: list[str] = []
        for sentinel in tuple(self._sentinels):
            try:
                with anyio.fail_after(min(_PATIENCE, self.address.connect_timeout / 4)):
                    host, port = await self._ask(sentinel, backend)
                with anyio.fail_after(max(_PATIENCE, self.address.connect_timeout / 4)):
                    return await self._greet_master(host, port, backend)
            except (AuthenticationError, AuthenticationWrongNumberOfArgsError):
                raise
            except (OSError, RedisError) as error:
                refusals.append(f"sentinel {self.address.sentinel(*sentinel)}: {str(error) or 'no answer'}")
            self._put_last(sentinel)
        raise ConnectionError("; ".join(refusals))

    def _put_last(self, sentinel: tuple[str, int]) -> None:
        # In one step, since clients in several threads may share the connector.
        self._sentinels = [*(one for one in self._sentinels if one != sentinel), sentinel]

    async def _ask(self, sentinel: tuple[str, int], backend: Backend) -> tuple[str, int]:
        try:
            connection = await self.sentinel(*sentinel).once(backend)
        except AuthenticationError as error:
            raise AuthenticationError(f"Sentinel {self.address.sentinel(*sentinel)}: {error}") from error
        try:
            found = await connection.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.address.service or "")
        finally:
            connection.fail(ConnectionError("The sentinel has been asked"))
        if not isinstance(found, list) or len(found) != 2:
            raise ConnectionError(f"it knows no service {self.address.service!r}")
        host, port = cast("list[bytes]", found)
        return host.decode(), int(port)

    async def _greet_master(self, host: str, port: int, backend: Backend) -> Connection:
        connection = await self.at(host, port).once(backend)
        try:
            role = await _role(connection)
            if role not in ("master", ""):
                raise ConnectionError(f"{connection.peer}, which it names, is a {role}, no master (yet)")
            self.master = connection.peer
        except BaseException as error:
            connection.fail(error)
            raise
        return connection


async def _role(connection: Connection) -> str:
    """The role that the server reports; empty if the user may not ask."""
    try:
        return cast("list[bytes]", await connection.call("ROLE"))[0].decode()
    except NoPermissionError:
        return ""
    except ResponseError:  # a proxy, or a service without ROLE
        text = cast("bytes", await connection.call("INFO", "replication"))
        return text.partition(b"role:")[2].split(b"\r\n")[0].decode()


class _Watch:
    """What one event loop knows of the master that its connections lead to; times are of perf_counter."""

    __slots__ = ("asked", "asking", "backend", "listening", "replied", "suspected_until")

    def __init__(self, backend: Backend) -> None:
        self.backend, self.asking = backend, Semaphore(backend)
        #: When the master last replied, when the sentinels were last asked, until when to ask them every second.
        self.replied = self.asked = self.suspected_until = -math.inf
        #: How many subscriptions announce a new master.
        self.listening = 0


class SentinelClient(Client):
    """A client of whatever server is the master; it leaves one that is no master any more.

    A master that hung, and was replaced meanwhile, does not know that when it comes back: it accepts writes and loses
    them. So after a silence we ask the sentinels, before we send a command and before we believe its reply.
    """

    def __init__(self, connector: SentinelConnector) -> None:
        super().__init__(connector)
        self._sentinels = connector
        self._watches = PerLoop(_Watch)

    async def request(self, data: Packed, count: int | None = None) -> Any:
        began, watch = perf_counter(), self._watches.here()
        if began - watch.replied > _SILENCE or began < watch.suspected_until:
            await self._look_for_another(watch, began)
        reply = await self._answered(data, count)
        watch.replied = perf_counter()
        if watch.replied - began > _SILENCE and await self._look_for_another(watch, watch.replied):
            raise ConnectionError(
                "The reply is of a server that is no master any more: the write may be lost"
            )
        return reply

    async def _answered(self, data: Packed, count: int | None) -> Any:
        reply = await super().request(data, count)
        replies: list[Any] = [reply] if count is None else reply
        refusal = next((one for one in replies if isinstance(one, ReadOnlyError)), None)
        if refusal is not None:
            self.note_error(refusal)
            if len(replies) == 1:  # refused, hence not executed
                reply = await super().request(data, count)
        return reply

    @asynccontextmanager
    async def dedicated(self) -> AsyncGenerator[Connection]:
        """As ``Client``'s; does not keep a connection to a server that is no master any more."""
        async with super().dedicated() as connection:
            try:
                yield connection
            except ReadOnlyError as error:
                connection.fail(error)
                raise

    def note_error(self, error: RedisError) -> None:
        """Leave a server that is no master any more; connecting asks the sentinels for another one."""
        if isinstance(error, ReadOnlyError):
            self.pool().close_shared(f"The server is no master any more: {error}")

    async def _look_for_another(self, watch: _Watch, silent_at: float) -> bool:
        """Ask for the master, unless that was just done; leave ours if it is another. Return whether it is."""
        if watch.listening or (shared := self.pool().shared_now()) is None:
            return False  # a subscription announces it; or connecting will ask
        if silent_at >= watch.suspected_until:
            watch.suspected_until = silent_at + _SUSPECTED
            watch.asked = -math.inf
        async with watch.asking:
            if perf_counter() - watch.asked > _RECHECK:
                watch.asked = perf_counter()
                try:
                    self._leave_all_but(await self._sentinels.ask_for_master(watch.backend))
                except ConnectionError:
                    return False  # no sentinel knows better
        return shared.error is not None

    def _leave_all_but(self, master: str) -> None:
        """Leave the others, in this event loop. Other loops find out as they do without a subscription."""
        self._sentinels.master = master
        self.pool().close_all_but(master, f"The sentinels name another master now, {master}")

    async def follow(self) -> None:
        """Subscribe to all sentinels, and leave the old master when they announce a new one."""
        async with anyio.create_task_group() as group:
            for sentinel in self._sentinels.sentinels:
                group.start_soon(self._listen_to, sentinel)

    async def _listen_to(self, sentinel: tuple[str, int]) -> None:
        pause = 0.1
        while True:
            try:
                async with Client(self._sentinels.sentinel(*sentinel)) as client, client.pubsub() as pubsub:
                    await pubsub.subscribe(_SWITCH)
                    pause = 0.1
                    await self._leave_replaced_masters(pubsub)
            except (AuthenticationError, NoPermissionError):
                return  # the user may ask it, but not subscribe to it
            except (OSError, RedisError):
                await anyio.sleep(pause * random.uniform(0.5, 1))
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _leave_replaced_masters(self, pubsub: PubSub) -> None:
        watch = self._watches.here()
        watch.listening += 1
        try:
            while True:
                service, _, _, host, port = (await pubsub.receive()).payload.decode().split(" ")
                if service == self.address.service:
                    self._leave_all_but(str(self.address.at(host, int(port))))
        finally:
            watch.listening -= 1

    def serves(self, connection: Connection) -> bool:
        """As ``Client``'s."""
        return connection.peer == self._sentinels.master

    def close(self) -> None:
        """As ``Client``'s."""
        super().close()
        self._watches.end()

    async def unblock(self, connection: Connection, number: int) -> None:
        """As ``Client``'s; the number means nothing to another server."""
        shared = await self.pool().shared()
        if shared.peer == connection.peer:
            await shared.call("CLIENT", "UNBLOCK", number)
