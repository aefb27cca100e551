"""From an address to a connection that is ready for commands: stream, handshake, attempts."""

from __future__ import annotations

import inspect
import random
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import anyio

from ..errors import BadSetting
from ..standins import redis_errors
from ..text import error_text
from . import sockets
from .connection import Connection
from .errors import faults
from .resp import Argument
from .stream import Stream
from .tls import make_context, secure
from .url import Address
from .waiting import Backend

if TYPE_CHECKING:
    from redis.credentials import CredentialProvider

    from ..memory import Hold

__all__ = ["Connector"]

#: Pauses before the second, third, ... attempt; each is shortened by up to half, at random.
_PAUSES = (0.02, 0.1, 0.4)


class Connector:
    """Opens connections to one address; holds the TLS context and the credentials, no connection.

    Raises (when made): BadUrl - TLS files that cannot be loaded; BadSetting - credentials twice.
    """

    def __init__(
        self,
        address: Address,
        credential_provider: CredentialProvider | None = None,
        *,
        context: ssl.SSLContext | None = None,
    ) -> None:
        if credential_provider is not None and (address.username or address.password):
            raise BadSetting(
                "give credentials in the URL or by a credential_provider, not both: "
                "take the user and the password out of the URL, or leave the provider out"
            )
        self.address = address
        if context is None and address.tls is not None:
            context = make_context(address.tls)
        self._context = context
        self._provider = credential_provider

    def at(self, host: str, port: int) -> Connector:
        """One server out of several, with the same credentials and certificates."""
        return Connector(self.address.at(host, port), self._provider, context=self._context)

    def sentinel(self, host: str, port: int) -> Connector:
        """One of the sentinels, with the sentinels' credentials and the servers' certificates."""
        return Connector(self.address.sentinel(host, port), context=self._context)

    async def connect(self, backend: Backend) -> Connection:
        """Open a connection within ``socket_connect_timeout`` seconds, with a few quick attempts.

        Raises: AuthenticationError - at once, without another attempt; ProviderRefused, which is one - in each attempt
                what the provider answered; ProviderFailed; ResponseError - the server refuses the database or the
                name; Unreachable, which names the server - it does not answer.
        Cancel: safe, nothing stays open.
        """
        if self.address.memory is not None:
            return await self.once(backend)
        refusal: BaseException | None = None
        with anyio.move_on_after(self.address.connect_timeout):
            for pause in (*_PAUSES, None):
                try:
                    return await self.once(backend)
                except faults.ProviderRefused as error:
                    refusal = error
                except (
                    redis_errors.AuthenticationError,
                    redis_errors.AuthenticationWrongNumberOfArgsError,
                    faults.TlsRefused,
                ):
                    raise
                except (OSError, redis_errors.ConnectionError, redis_errors.TimeoutError) as error:
                    refusal = error
                if pause is None:
                    break
                await anyio.sleep(pause * random.uniform(0.5, 1))
        if isinstance(refusal, faults.ProviderRefused | faults.ProviderFailed):
            raise refusal
        raise faults.Unreachable(
            f"Cannot connect to {self.address}: {_reason(refusal, self.address)}"
        ) from refusal

    def hold(self) -> Hold | None:
        """Keep a server in this process (memory://) alive, also between two event loops; None for others."""
        if self.address.memory is None:
            return None
        from .. import memory

        return memory.hold(self.address.memory, for_good=self.address.keep)

    async def once(self, backend: Backend) -> Connection:
        """Open a connection or raise, in one attempt and without a limit of time."""
        address, stream = self.address, await self._open()
        connection = Connection(
            stream,
            backend,
            patience=address.socket_timeout,
            immediate=address.memory is not None,
            peer=str(address),
        )
        try:
            await self._greet(connection)
        except BaseException as error:
            connection.fail(error)
            lost = type(error) in (redis_errors.ConnectionError, faults.NeverSent)
            if lost and address.tls is not None and address.tls.certfile is None:
                hint = "it may require a certificate of the client (ssl_certfile, ssl_keyfile)"
                raise redis_errors.ConnectionError(f"{error}; {hint}") from error
            raise
        return connection

    async def _open(self) -> Stream:
        address = self.address
        if address.memory is not None:
            from .. import memory

            return memory.open_stream(address.memory)
        stream = await sockets.connect(address)
        if self._context is None:
            return stream
        try:
            return await secure(stream, self._context, address.host)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            stream.close()
            raise
        except ssl.SSLError as error:
            stream.close()
            raise faults.TlsRefused(f"Cannot agree on TLS with {address}: {error}") from error
        except BaseException:
            stream.close()
            raise

    async def _greet(self, connection: Connection) -> None:
        address = self.address
        commands: list[tuple[Argument, ...]] = []
        if credentials := await self._credentials():
            commands.append(("AUTH", *credentials))
        if address.db:
            commands.append(("SELECT", address.db))
        if address.client_name:
            commands.append(("CLIENT", "SETNAME", address.client_name))
        required = len(commands)
        if address.memory is None:
            commands.append(("PING",))  # fails while the server loads its data
            commands.append(("CLIENT", "SETINFO", "LIB-NAME", "anydocket"))  # unknown before Redis 7.2
        replies = await connection.call_many(commands)
        for index, reply in enumerate(replies[: required + 1]):
            if index == required and isinstance(reply, redis_errors.NoPermissionError):
                continue  # a user that may not PING may still work
            if isinstance(reply, redis_errors.AuthenticationError):
                raise self._refused(reply) from reply
            if isinstance(reply, redis_errors.RedisError):
                raise reply

    def _refused(self, error: redis_errors.AuthenticationError) -> redis_errors.AuthenticationError:
        """The server's refusal, with whose credentials these are."""
        address = self.address
        if self._provider is not None:
            return faults.ProviderRefused(f"{address} refuses what the credential_provider answered: {error}")
        given = "the credentials in" if address.username or address.password else "no credentials in"
        return redis_errors.AuthenticationError(f"{address} refuses a client with {given} its URL: {error}")

    async def _credentials(self) -> tuple[str, ...]:
        address = self.address
        if self._provider is not None:
            # A server in this process asks nobody for a password.
            return await _ask(self._provider) if address.memory is None else ()
        if address.username:
            return (address.username, address.password or "")
        return (address.password,) if address.password else ()


async def _ask(provider: CredentialProvider) -> tuple[str, ...]:
    from redis.credentials import CredentialProvider

    # The base class's coroutine only warns and calls the synchronous method.
    ask: Callable[[], Any] = provider.get_credentials
    if type(provider).get_credentials_async is not CredentialProvider.get_credentials_async:
        ask = provider.get_credentials_async
    try:
        answer = ask()
        if inspect.isawaitable(answer):
            answer = await answer
        parts = tuple(cast("tuple[str, ...]", answer))
        if not (1 <= len(parts) <= 2 and all(isinstance(part, str | bytes) for part in parts)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("credentials are (password,) or (user, password), of text")
        return parts
    except Exception as error:  # of others: a vault may be away, as a server may be
        raise faults.ProviderFailed(f"the credential_provider raised {error_text(error)}") from error


def _reason(refusal: BaseException | None, address: Address) -> str:
    if refusal is None:
        return f"no answer within {address.connect_timeout:.6g} s"
    return str(refusal) or repr(refusal)
