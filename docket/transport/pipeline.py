"""Pipelines: queued commands in one write, contiguous on the shared connection, atomic if so wished."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from redis.commands import AsyncCoreCommands
from redis.exceptions import ConnectionError, ExecAbortError, RedisError, TimeoutError, WatchError

from ..values import define
from . import scripts
from .commands import Command, Kind, block_seconds
from .connection import Connection
from .resp import Argument, encoder
from .scripts import Lua, Script

if TYPE_CHECKING:
    from redis._parsers import Encoder

    from .client import Client
    from .pool import Pool

__all__ = ["Pipeline"]


@define(eq=False)
class _Queued:
    command: Command
    args: tuple[Any, ...]
    options: dict[str, Any]

    def convert(self, reply: Any) -> Any:
        callback = self.command.callback
        return reply if callback is None or isinstance(reply, Exception) else callback(reply, **self.options)


class Pipeline(AsyncCoreCommands):
    """redis-py's pipeline: command methods queue and return the pipeline, ``await execute()`` runs them all.

    After ``await watch(...)`` methods run at once, on a connection of the pipeline's own, until ``multi()``.
    Use it as an async context manager if it watches keys.
    """

    _is_async_client: Literal[True] = True
    _event_dispatcher: Any = None

    def __init__(self, client: Client, *, transaction: bool) -> None:
        self._client = client
        self._transaction = transaction
        self._queue: list[_Queued] = []
        self._scripts: dict[str, Lua] = {}
        self._own: tuple[Pool, Connection] | None = None
        self._watching = self._explicit = False

    def __len__(self) -> int:
        return len(self._queue)

    def __bool__(self) -> bool:
        return True

    def __await__(self) -> Generator[Any, None, Self]:
        return self._itself().__await__()

    async def _itself(self) -> Self:
        return self  # ``await pipe.set(...)`` does the same as ``pipe.set(...)``

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._reset()

    async def reset(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as redis-py has it
        """Forget what is queued and watched."""
        self._reset()

    async def aclose(self) -> None:
        """``reset()`` by another name."""
        self._reset()

    def _reset(self) -> None:
        self._queue, self._scripts, self._explicit = [], {}, False
        if self._own is not None:
            pool, connection = self._own
            self._own = None
            # Closing is as good as UNWATCH, and cannot be cancelled.
            pool.release(connection, reusable=not self._watching)
        self._watching = False

    # Queueing.

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Queue a command and return the pipeline; while keys are watched, run it (a coroutine)."""
        command = self._client.look_up(args)
        if command.words is not None:
            args = (*command.words, *args[1:])
        options.pop("keys", None)
        options.pop("NEVER_DECODE", None)
        queued = _Queued(command, args, options)
        if (self._watching or command.name == "WATCH") and not self._explicit:
            return self._run_now(queued)
        if command.kind is Kind.STATEFUL:
            raise RedisError(f"{command.name} is not possible in a pipeline")
        if command.kind is Kind.BLOCKING or (
            command.kind is Kind.MAY_BLOCK and block_seconds(args) is not None
        ):
            raise RedisError(f"{command.name} would hold back the connection that many callers share")
        self._queue.append(queued)
        return self

    def queue_script(self, lua: Lua, keys: Sequence[Argument], args: Sequence[Argument]) -> Any:
        """Queue a call of a script, which is loaded before the pipeline runs if the server lacks it."""
        self._scripts[lua.sha] = lua
        return self.execute_command("EVALSHA", lua.sha, len(keys), *keys, *args)

    def register_script(self, script: str | bytes) -> Script:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return a script of the client; call it with ``client=pipe``."""
        return Script(self._client, script)

    # Watching.

    async def watch(self, *names: Any) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Watch keys: ``execute()`` raises WatchError if one has changed; until ``multi()`` commands run at once."""
        if self._explicit:
            raise RedisError("Cannot issue a WATCH after a MULTI")
        return await self.execute_command("WATCH", *names)

    async def unwatch(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Forget the watched keys."""
        if self._watching and not self._explicit:
            await self.execute_command("UNWATCH")
        return True

    def multi(self) -> None:
        """Queue commands again, after ``watch()``."""
        if self._explicit:
            raise RedisError("Cannot issue nested calls to MULTI")
        if self._queue:
            raise RedisError("Commands without an initial WATCH have already been issued")
        self._explicit = True

    async def _run_now(self, queued: _Queued) -> Any:
        connection = await self._connection(queued)
        try:
            reply = await connection.call(*queued.args)
        except (ConnectionError, TimeoutError) as error:
            raise self._watch_lost(error) from error
        except RedisError as error:
            self._client.note_error(error)
            raise
        if queued.command.name == "WATCH":
            self._watching = True
        elif queued.command.name == "UNWATCH":
            self._watching = False
        return queued.convert(reply)

    async def _connection(self, first: _Queued) -> Connection:
        if self._own is None:
            self._own = await self._client.acquire(*first.args)
        return self._own[1]

    def _watch_lost(self, error: RedisError) -> RedisError:
        watching = self._watching
        self._reset()
        return (
            WatchError(f"A {type(error).__name__} occurred while watching one or more keys")
            if watching
            else error
        )

    # Running.

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Run what is queued; return the replies in order, as the command methods would.

        Raises: ResponseError - the first error reply, which names its command; with ``raise_on_error=False`` it is
                returned in its place; WatchError - a watched key has changed, nothing was
                executed; ConnectionError - some or all commands may have been executed.
        """
        queue = self._queue
        try:
            if not queue and not self._watching:
                return []
            sent = [queued for queued in queue if "EMPTY_RESPONSE" not in queued.options]
            if self._scripts:
                await self._load_scripts(sent)
            replies = iter(await self._send(sent))
            result = [
                queued.options["EMPTY_RESPONSE"] if "EMPTY_RESPONSE" in queued.options else next(replies)
                for queued in queue
            ]
            if raise_on_error:
                for number, (queued, reply) in enumerate(zip(queue, result, strict=True), 1):
                    if isinstance(reply, RedisError):
                        raise _annotated(reply, number, queued)
            return [queued.convert(reply) for queued, reply in zip(queue, result, strict=True)]
        finally:
            self._reset()

    async def _send(self, queue: Sequence[_Queued]) -> list[Any]:
        commands = [queued.args for queued in queue]
        transaction = self._transaction or self._explicit
        if self._own is None:
            send = self._client.call_atomically if transaction else self._client.call_many
            replies: list[Any] = await send(commands)
        else:
            try:
                replies = await self._own[1].call_many(
                    [("MULTI",), *commands, ("EXEC",)] if transaction else commands
                )
            except (ConnectionError, TimeoutError) as error:
                raise self._watch_lost(error) from error
        if not transaction:
            return replies
        self._watching = False  # EXEC has ended it
        *answers, result = replies
        if isinstance(result, RedisError):
            for number, (queued, answer) in enumerate(zip(queue, answers[1:], strict=True), 1):
                if isinstance(answer, RedisError) and isinstance(result, ExecAbortError):
                    raise _annotated(answer, number, queued) from result
            raise result
        if result is None:
            raise WatchError("Watched variable changed.")
        return result

    async def _load_scripts(self, queue: Sequence[_Queued]) -> None:
        wanted = list(self._scripts.values())
        for server in await self._client.servers_of([queued.args for queued in queue]):
            known = await server.call("SCRIPT", "EXISTS", *(lua.sha for lua in wanted))
            for lua, exists in zip(wanted, cast("list[int]", known), strict=True):
                if not exists:
                    pool = server.pool()
                    await scripts.ensure_loaded(server, pool, lua, pool.loads.get(lua.sha, 0))

    # Required by redis-py's mixins.

    @property
    def connection_pool(self) -> Client:
        return self._client

    def get_encoder(self) -> Encoder:
        return encoder()

    def get_connection_kwargs(self) -> dict[str, Any]:
        return self._client.get_connection_kwargs()


def _annotated(error: RedisError, number: int, queued: _Queued) -> RedisError:
    words = " ".join(repr(arg) if isinstance(arg, bytes) else str(arg) for arg in queued.args)
    shown = words if len(words) <= 100 else words[:97] + "..."
    error.args = (f"Command # {number} ({shown}) of pipeline caused error: {error.args}", *error.args[1:])
    return error
