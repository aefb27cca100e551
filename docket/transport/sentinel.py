"""One master out of several servers, as the sentinels that watch them name it.

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
from .url import Address
from .waiting import Backend, Semaphore

__all__ = ["SentinelClient", "SentinelConnector"]

#: How many seconds one sentinel gets at most before the next one is asked.
_PATIENCE = 1.0

#: After so many seconds of silence the master may have been replaced and not know it: no failover is quicker.
_QUIET = 1.0

#: For so many seconds after such a silence the sentinels are asked again each second: a failover takes some, and they
#: take eight to tell a master that comes back that it is none any more.
_SUSPECTED = 15.0
_EACH = 1.0

#: The longest pause before a sentinel that could not be listened to is tried again.
_AGAIN = 10.0

_SWITCH = "+switch-master"


class SentinelConnector(Connector):
    """Opens connections to the master; asks for it each time, so that it follows a failover."""

    def __init__(self, address: Address, credential_provider: CredentialProvider | None = None) -> None:
        super().__init__(address, credential_provider)
        #: In the order in which they are asked; who did not help is the last.
        self._sentinels = list(address.hosts)
        #: The server that was named last, as ``Connection.peer`` has it.
        self.master = ""

    @property
    def sentinels(self) -> tuple[tuple[str, int], ...]:
        """In the order in which they are asked."""
        return tuple(self._sentinels)

    async def named(self, backend: Backend) -> str:
        """Return the master that the first sentinel names that answers, as ``Connection.peer`` has it.

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
        """Ask the sentinels in turn until one names a server that says of itself that it is a master.

        Raises: ConnectionError - none does; AuthenticationError - a sentinel or the master refuses the credentials.
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
    """What the server says that it is; nothing where the user may not ask."""
    try:
        return cast("list[bytes]", await connection.call("ROLE"))[0].decode()
    except NoPermissionError:
        return ""
    except ResponseError:  # a proxy, or a service without ROLE
        text = cast("bytes", await connection.call("INFO", "replication"))
        return text.partition(b"role:")[2].split(b"\r\n")[0].decode()


class _Watch:
    """What is known in one event loop of the server that its connections lead to, all in seconds of perf_counter."""

    __slots__ = ("asked", "backend", "gate", "heard", "listening", "suspected_until")

    def __init__(self, backend: Backend) -> None:
        self.backend, self.gate = backend, Semaphore(backend)
        #: When it was heard of, when the sentinels were asked, until when they are to be asked each second.
        self.heard = self.asked = self.suspected_until = -math.inf
        #: How many tasks hear of a new master by themselves.
        self.listening = 0


class SentinelClient(Client):
    """A client of whatever server is the master. Who hears that it is none any more leaves it.

    A master that hung, and was replaced meanwhile, does not know that when it comes back: it takes what is written
    and loses it. So the sentinels are asked after a silence, before a command and before its reply is believed.
    """

    def __init__(self, connector: SentinelConnector) -> None:
        super().__init__(connector)
        self._sentinels = connector
        self._watches = PerLoop(_Watch)

    async def request(self, data: bytes, count: int | None = None) -> Any:
        began, watch = perf_counter(), self._watches.here()
        if began - watch.heard > _QUIET or began < watch.suspected_until:
            await self._look_for_another(watch, began)
        reply = await self._answered(data, count)
        watch.heard = perf_counter()
        if watch.heard - began > _QUIET and await self._look_for_another(watch, watch.heard):
            raise ConnectionError("The answer is of a server that is no master any more: it may be lost")
        return reply

    async def _answered(self, data: bytes, count: int | None) -> Any:
        reply = await super().request(data, count)
        replies: list[Any] = [reply] if count is None else reply
        refusal = next((one for one in replies if isinstance(one, ReadOnlyError)), None)
        if refusal is not None:
            self.heard(refusal)
            if len(replies) == 1:  # refused, hence not executed
                reply = await super().request(data, count)
        return reply

    @asynccontextmanager
    async def dedicated(self) -> AsyncGenerator[Connection]:
        """As of ``Client``; a connection to what is no master any more is not kept."""
        async with super().dedicated() as connection:
            try:
                yield connection
            except ReadOnlyError as error:
                connection.fail(error)
                raise

    def heard(self, error: RedisError) -> None:
        """Leave a server that is no master any more; the sentinels are asked for another one."""
        if isinstance(error, ReadOnlyError):
            self.pool().forsake(f"The server is no master any more: {error}")

    async def _look_for_another(self, watch: _Watch, silent_at: float) -> bool:
        """Ask for the master, unless that was done just now; leave ours if it is another. Return whether it is."""
        if watch.listening or (shared := self.pool().shared_now()) is None:
            return False  # we are told; whoever connects asks
        if silent_at >= watch.suspected_until:
            watch.suspected_until = silent_at + _SUSPECTED
            watch.asked = -math.inf
        async with watch.gate:
            if perf_counter() - watch.asked > _EACH:
                watch.asked = perf_counter()
                try:
                    self._leave_all_but(await self._sentinels.named(watch.backend))
                except ConnectionError:
                    return False  # nobody knows better
        return shared.error is not None

    def _leave_all_but(self, master: str) -> None:
        """In this event loop; what is of others finds out by itself, as it does without one that listens."""
        self._sentinels.master = master
        self.pool().forsake_all_but(master, f"The sentinels name another master now, {master}")

    async def follow(self) -> None:
        """Listen to all sentinels for a new master, and leave the old one when they name it."""
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
                    await self._heed(pubsub)
            except (AuthenticationError, NoPermissionError):
                return  # it may be asked, not listened to
            except (OSError, RedisError):
                await anyio.sleep(pause * random.uniform(0.5, 1))
                pause = min(2 * pause, _AGAIN)

    async def _heed(self, pubsub: PubSub) -> None:
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
        """As of ``Client``."""
        return connection.peer == self._sentinels.master

    def close(self) -> None:
        """As of ``Client``."""
        super().close()
        self._watches.end()

    async def unblock(self, connection: Connection, number: int) -> None:
        """As of ``Client``; the number means nothing to another server than the connection's."""
        shared = await self.pool().shared()
        if shared.peer == connection.peer:
            await shared.call("CLIENT", "UNBLOCK", number)
