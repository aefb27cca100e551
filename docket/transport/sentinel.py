"""One master out of several servers, as the sentinels that watch them name it.

Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

from __future__ import annotations

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

from docket.transport.client import Client
from docket.transport.connection import Connection
from docket.transport.connector import Connector
from docket.transport.url import Address
from docket.transport.waiting import Backend

__all__ = ["SentinelClient", "SentinelConnector"]

#: How many seconds one sentinel gets at most before the next one is asked.
_PATIENCE = 1.0


class SentinelConnector(Connector):
    """Opens connections to the master; asks for it each time, so that it follows a failover."""

    def __init__(self, address: Address, credential_provider: CredentialProvider | None = None) -> None:
        super().__init__(address, credential_provider)
        #: In the order in which they are asked; who did not help is the last.
        self._sentinels = list(address.hosts)

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
            # In one step, since clients in several threads may share the connector.
            self._sentinels = [*(one for one in self._sentinels if one != sentinel), sentinel]
        raise ConnectionError("; ".join(refusals))

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


class SentinelClient(Client):
    """A client of whatever server is the master. Who hears that it is none any more leaves it."""

    async def _request(self, data: bytes, want: int = 1) -> Any:
        reply = await super()._request(data, want)
        refusal = next((one for one in _each(reply, want) if isinstance(one, ReadOnlyError)), None)
        if refusal is not None:
            self.heard(refusal)
            if want == 1:  # refused, hence not executed
                reply = await super()._request(data, want)
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

    async def unblock(self, connection: Connection, number: int) -> None:
        """As of ``Client``; the number means nothing to another server than the connection's."""
        shared = await self.pool().shared()
        if shared.peer == connection.peer:
            await shared.call("CLIENT", "UNBLOCK", number)


def _each(reply: Any, want: int) -> list[Any]:
    return cast("list[Any]", reply) if want > 1 else [reply]
