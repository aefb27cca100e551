"""The client: redis-py's command methods on asyncio and trio, many callers on one connection."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import anyio

from ..standins import redis_errors
from . import scripts
from .commands import Command, Kind, block_seconds, look_up
from .connection import Connection
from .connector import Connector
from .errors import faults
from .methods import CommandMethods
from .pool import Pool, Pools
from .resp import Argument, Packed, Reply, callbacks, encoder, joined, pack, words
from .scripts import Lua, Script, ScriptCall
from .url import Address

if TYPE_CHECKING:
    from redis._parsers import Encoder
    from redis.credentials import CredentialProvider

    from .lock import Lock
    from .pipeline import Pipeline
    from .pubsub import PubSub

__all__ = ["Client"]

#: How often a request is started of which nothing could be sent, before its ConnectionError is raised.
_STARTS = 3


class FromUrl(Protocol):
    """The type of `docket.transport.from_url`."""

    def __call__(
        self,
        url: str,
        *,
        credential_provider: CredentialProvider | None = None,
        client_name: str | None = None,
        home: Argument = "",
    ) -> Client: ...


class Client(CommandMethods):
    """A client of one server, for any number of concurrent callers; replies are bytes.

    Command methods, their arguments and the shapes of their replies are those of ``redis.asyncio.Redis``.
    Connecting is lazy. The client may be used in any number of event loops, in several threads at once: each loop has
    connections of its own, which are closed with it. ``async with`` only calls ``aclose()`` at its end; a closed
    client connects again when it is used again.

    Raises: redis.exceptions - ConnectionError if the connection was lost (the command may have been executed; one of
            which nothing was sent is repeated), TimeoutError if the server owed a reply and sent nothing for
            ``socket_timeout`` (30 s), AuthenticationError, ResponseError.
    Cancel: any call, at any moment; others are not disturbed. A command that was sent may still be executed. Blocking
            commands use a connection of their own; cancelling one closes it, so the server forgets the command.
    """

    _is_async_client: Literal[True] = True  # redis-py 8: selects the awaitable overloads
    _event_dispatcher: Any = None  # redis-py's protocol requires it; its command methods do not use it

    from_url: ClassVar[FromUrl]
    """`docket.transport.from_url`. Set by `open`, which knows the subclasses; this module does not."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._pools = Pools(connector)
        self._known: dict[Any, Command] = {}

    def another(self) -> Client:
        """A client of the same server with connections of its own, to be closed apart from ours."""
        return type(self)(self._connector)

    @property
    def address(self) -> Address:
        """Where the server is."""
        return self._connector.address

    @property
    def is_memory(self) -> bool:
        """Whether the server is the one in this process (memory://)."""
        return self._connector.address.memory is not None

    @property
    def is_cluster(self) -> bool:
        """Whether keys are spread over several servers, by the slot of their ``{tag}``."""
        return self._connector.address.is_cluster

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connector.address}>"

    # The ways to the server: each ends in `request`.

    async def request(self, data: Packed, count: int | None = None) -> Any:
        """Send packed commands on the shared connection, in one write; return the raw reply, an error reply included.

        With a ``count`` these are so many commands, and the result is the list of their replies.
        """
        for start in range(_STARTS):
            pool = self._pools.here()
            connection = pool.shared_now()
            if connection is None:
                connection = await self.pool().shared()
            try:
                return await connection.request(data, count)
            except faults.NeverSent as error:
                if start == _STARTS - 1 or pool.closed:
                    raise redis_errors.ConnectionError(str(error)) from error
        raise AssertionError("unreachable")

    async def call(self, *command: Argument) -> Reply:
        """Send one command on the shared connection and return its raw reply: the cheapest way.

        Not for commands that wait in the server: use ``dedicated()`` or a command method.
        """
        reply = await self.request(pack(command))
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def call_many(
        self, commands: Sequence[Sequence[Argument]]
    ) -> list[Reply | redis_errors.RedisError]:
        """Send several commands in one write, without others in between; return their raw replies in order.

        Error replies are returned in their places.
        """
        return await self.request(b"".join(map(pack, commands)), len(commands)) if commands else []

    async def call_atomically(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send commands as one transaction; return the raw replies to MULTI, to each of them and to EXEC."""
        return await self.request(
            b"".join([pack(("MULTI",)), *map(pack, commands), pack(("EXEC",))]), len(commands) + 2
        )

    async def run(self, lua: Lua, keys: Sequence[Argument], args: Sequence[Argument]) -> Reply:
        """Run a script by its digest on the shared connection; load it if the server does not know it."""
        if self.is_memory:
            (reply,) = await self.run_many(lua, [(keys, args)])
        else:
            packed = scripts.pack_call(lua, (keys, args))
            seen = self._pools.here().loads.get(lua.sha, 0)
            reply = await self.request(packed)
            if isinstance(reply, Exception):
                replies: list[Any] = [reply]
                await scripts.rerun_unknown(self, self.pool(), lua, [(keys, args)], replies, seen)
                reply = replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def run_many(self, lua: Lua, calls: Sequence[ScriptCall]) -> list[Reply | redis_errors.RedisError]:
        """Run a script once per ``(keys, args)``, in one write; error replies stay in their places."""
        if not calls:
            return []
        if self.is_memory and (replies := await self._run_inside(lua, calls)) is not None:
            return replies
        seen = self.pool().loads.get(lua.sha, 0)
        packed = joined([scripts.pack_call(lua, call) for call in calls])
        replies = await self.request(packed, len(calls))
        await scripts.rerun_unknown(self, self.pool(), lua, calls, replies, seen)
        return replies

    async def _run_inside(self, lua: Lua, calls: Sequence[ScriptCall]) -> list[Any] | None:
        """Run a script on a server in this process, as it is; None where it must be sent as a command."""
        script = lua.inside()
        plain = [(words(keys), words(args)) for keys, args in calls]
        connection = self._pools.here().shared_now() or await self.pool().shared()
        return await connection.run(script, plain)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command as redis-py's methods spell it; return what redis-py's asyncio client would return.

        Commands that wait in the server use a connection of their own meanwhile.

        Raises: RedisError - the command would change the connection that all callers share.
        """
        # Stays ``async def``: redis-py's xread and xreadgroup test inspect.iscoroutine() of the result.
        name = args[0]
        command = self._known.get(name) or self.look_up(args)
        if options:
            options.pop("keys", None)
            options.pop("NEVER_DECODE", None)
            if "EMPTY_RESPONSE" in options:
                return options["EMPTY_RESPONSE"]
        if command.words is not None:
            args = (*command.words, *args[1:])
        kind = command.kind
        if kind is Kind.SHARED or (kind is Kind.MAY_BLOCK and block_seconds(args) is None):
            reply = await self.call(*args)
        elif kind is Kind.STATEFUL:
            raise redis_errors.RedisError(command.instead())
        else:
            reply = await self.call_alone(*args)
        return reply if command.callback is None else command.callback(reply, **options)

    @cached_property
    def response_callbacks(self) -> dict[str, Callable[..., Any]]:
        """What converts the raw replies, by upper-case command."""
        return dict(callbacks())

    def look_up(self, args: Sequence[Any]) -> Command:
        """Return the properties of a command, including this client's response callback."""
        command = look_up(args, self.response_callbacks)
        if len(self._known) < 1000 and command.name != "CLIENT" and len(command.name.split()) == 1:
            self._known[args[0]] = command
        return command

    def set_response_callback(self, command: str, callback: Callable[..., Any]) -> None:
        """Convert the replies to ``command`` by ``callback`` from now on."""
        self.response_callbacks[command.upper()] = callback
        self._known.clear()

    # Connections.

    async def call_alone(self, *command: Argument) -> Reply:
        """Send one command on a connection of its own, and return its raw reply."""
        async with self.dedicated() as connection:
            return await connection.call(*command)

    @asynccontextmanager
    async def dedicated(self) -> AsyncGenerator[Connection]:
        """A connection for the caller alone, for blocking commands: ``await connection.call(...)``.

        At the end it is kept for the next caller; or closed if it still owes something, as after the cancellation of
        a blocked command, which makes the server forget that. Waits while ``max_connections`` (100) are in use.
        """
        pool, connection = await self.acquire()
        try:
            yield connection
        except redis_errors.RedisError as error:
            self.note_error(error)
            raise
        finally:
            pool.release(connection)

    async def acquire(self, *command: Argument) -> tuple[Pool, Connection]:
        """Return a connection for the caller alone, to the server of ``command``, and the pool to release it to."""
        pool = self.pool()
        return pool, await pool.acquire()

    async def open(self) -> tuple[Pool, Connection]:
        """Return a new connection for a subscriber, and the pool to drop it from."""
        pool = self.pool()
        return pool, await pool.open()

    async def unblock(self, connection: Connection, number: int) -> None:
        """End the wait of a command that blocks on ``connection``, whose CLIENT ID is ``number``."""
        await self.call("CLIENT", "UNBLOCK", number)

    async def follow(self) -> None:
        """Leave a server as soon as it is replaced, until cancelled; returns at once where nobody announces that."""

    def note_error(self, error: redis_errors.RedisError) -> None:
        """React to an error of a connection that a caller had for itself."""

    def serves(self, connection: Connection) -> bool:
        """Whether the server of ``connection`` is still the right one, as far as known. From any thread."""
        return True

    async def servers_of(self, commands: Sequence[Sequence[Argument]]) -> Sequence[Client]:
        """Return a client of each server that gets one of ``commands``."""
        return [self]

    def pool(self) -> Pool:
        """Return the connections of the running event loop."""
        return self._pools.begin()

    def close(self) -> None:
        """Close all connections of all event loops; a loop in another thread does so as soon as it can.

        Callers in flight get ConnectionError. Never suspends; idempotent.
        """
        self._pools.end()

    def __del__(self) -> None:
        if (
            not sys.is_finalizing()
        ):  # a forgotten client: the loops that watch its sockets would keep them open
            self.close()

    async def aclose(self) -> None:
        """``close()`` as a coroutine."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    # Built on top of it.

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Return a pipeline: methods queue, ``await execute()`` sends all of them in one write."""
        from .pipeline import Pipeline

        return Pipeline(self, transaction=transaction)

    async def transaction(
        self,
        func: Callable[[Pipeline], Any],
        *watches: Argument,
        value_from_callable: bool = False,
        watch_delay: float | None = None,
    ) -> Any:
        """Watch keys, let ``func(pipe)`` queue commands, execute them; repeat if a watched key has changed."""
        async with self.pipeline() as pipe:
            while True:
                try:
                    if watches:
                        await pipe.watch(*watches)
                    value = func(pipe)
                    if isawaitable(value):
                        value = await value
                    result = await pipe.execute()
                except redis_errors.WatchError:
                    if watch_delay:
                        await anyio.sleep(watch_delay)
                else:
                    return value if value_from_callable else result

    def pubsub(self, *, ignore_subscribe_messages: bool = False) -> PubSub:
        """Return a subscriber; it connects with the first subscription."""
        from .pubsub import PubSub

        return PubSub(self, ignore_subscribe_messages=ignore_subscribe_messages)

    def register_script(self, script: str | bytes) -> Script:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return a callable script; see ``Script``."""
        return Script(self, script)

    def lock(
        self,
        name: str,
        timeout: float | None = None,
        sleep: float = 0.1,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        thread_local: bool = True,
        raise_on_release_error: bool = True,
    ) -> Lock:
        """Return a lock on the server, as redis-py's; see ``Lock``. ``thread_local`` has no effect."""
        from .lock import Lock

        return Lock(
            self,
            name,
            timeout=timeout,
            sleep=sleep,
            blocking=blocking,
            blocking_timeout=blocking_timeout,
            raise_on_release_error=raise_on_release_error,
        )

    # Required by redis-py's mixins.

    @property
    def connection_pool(self) -> Client:
        return self

    def get_encoder(self) -> Encoder:
        return encoder()

    def get_connection_kwargs(self) -> dict[str, Any]:
        return {"db": self.address.db, "decode_responses": False, "protocol": 2}
