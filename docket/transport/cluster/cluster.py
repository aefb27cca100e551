"""A client of a cluster: it sends every command to the owner of its key's slot, wherever that has moved.

Each node has a ``Client`` of its own; this one chooses between them. A docket's keys share one slot, so it works with
one node, and the others cost nothing.
Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from ..client import Client
from ..connection import Connection
from ..connector import Connector
from ..errors import faults
from ..pool import Pool
from ..resp import Argument, Reply
from ..scripts import Lua, ScriptCall
from .nodes import Nodes
from .slots import slot_of, slot_of_key

__all__ = ["ClusterClient"]

T = TypeVar("T")

#: How often a command follows redirections before the nodes count as disagreeing.
_HOPS = 5

#: Sends the calls with these indices to a node, after ASKING if so; returns their replies, also error replies.
_Send = Callable[[Client, Sequence[int], bool], Awaitable[Sequence[Any]]]


class ClusterClient(Client):
    """A client of all nodes of a cluster. Commands without a key go to the owner of ``home``'s slot.

    Keys of one command, script or transaction must share a slot: ResponseError (CROSSSLOT) otherwise. KEYS,
    ``scan_iter``, DBSIZE, FLUSHALL, FLUSHDB, SCRIPT and PUBSUB go to every primary; SCAN is refused.

    Raises: as ``Client``, and ClusterDownError - no node serves the slot (for now); TryAgainError - keys are being
            moved. Never a redirection.
    """

    def __init__(self, connector: Connector, home: Argument) -> None:
        super().__init__(connector)
        self._home_key, self._home = home, slot_of_key(home)
        self._nodes = Nodes(connector)

    def another(self) -> ClusterClient:
        """As ``Client``'s; it reads the map of slots by itself."""
        return ClusterClient(self._connector, self._home_key)

    # The ways to the nodes.

    async def call(self, *command: Argument) -> Reply:
        """As ``Client``'s, at the owner of the command's first key."""
        slot = slot_of(command)
        node = self._nodes.owner_now(self._home if slot is None else slot)
        if node is not None:
            try:
                return await node.call(*command)
            except (AskError, ConnectionError, TimeoutError) as error:
                await self._failed(node, error)
        [reply] = await self._deliver([slot], _commands([command]))
        if isinstance(reply, RedisError):
            raise reply
        return reply

    async def call_many(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """As ``Client``'s; node by node if the keys have several slots."""
        return await self._deliver(_slots_of(commands), _commands(commands))

    async def call_atomically(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """As ``Client``'s. Raises: ClusterCrossSlotError - the keys have several slots."""
        named = {slot for slot in _slots_of(commands) if slot is not None}
        if len(named) > 1:
            raise ClusterCrossSlotError(
                "The keys of one transaction must share a slot, by a {tag} in their names, "
                "or use pipeline(transaction=False)"
            )
        whole = (("ASKING",), ("MULTI",), *commands, ("EXEC",))

        async def send(node: Client, _which: Sequence[int], asking: bool) -> Sequence[Any]:
            return [(await node.call_many(whole))[1:] if asking else await node.call_many(whole[1:])]

        [replies] = await self._deliver([named.pop() if named else None], send, _in_transaction)
        return replies

    async def run(self, lua: Lua, keys: Sequence[Argument], args: Sequence[Argument]) -> Reply:
        """As ``Client``'s, at the owner of the first key."""
        node = self._nodes.owner_now(slot_of_key(keys[0]) if keys else self._home)
        if node is not None:
            try:
                return await node.run(lua, keys, args)
            except (AskError, ConnectionError, TimeoutError) as error:
                await self._failed(node, error)
        [reply] = await self.run_many(lua, [(keys, args)])
        if isinstance(reply, RedisError):
            raise reply
        return reply

    async def run_many(self, lua: Lua, calls: Sequence[ScriptCall]) -> list[Reply | RedisError]:
        """As ``Client``'s, node by node where the keys are of several slots."""

        async def send(node: Client, which: Sequence[int], asking: bool) -> Sequence[Any]:
            if not asking:
                return await node.run_many(lua, [calls[index] for index in which])
            # By its text: a new owner may not know the script yet.
            evals = [("EVAL", lua.text, len(keys), *keys, *args) for keys, args in (calls[i] for i in which)]
            return await _commands(evals)(node, range(len(evals)), True)

        return await self._deliver([slot_of_key(keys[0]) if keys else None for keys, _ in calls], send)

    async def call_alone(self, *command: Argument) -> Reply:
        """As ``Client``'s, at the owner of the command's first key; follows a redirection to another node."""

        async def send(node: Client, _which: Sequence[int], asking: bool) -> Sequence[Any]:
            async with node.dedicated() as connection:
                if asking:
                    await connection.call("ASKING")
                try:
                    return [await connection.call(*command)]
                except ResponseError as error:
                    return [error]

        [reply] = await self._deliver([slot_of(command)], send)
        if isinstance(reply, RedisError):
            raise reply
        return reply

    async def _deliver(
        self,
        slots: Sequence[int | None],
        send: _Send,
        redirection: Callable[[Any], AskError | None] = lambda reply: (
            reply if isinstance(reply, AskError) else None
        ),
    ) -> list[Any]:
        """Send each call to the owner of its slot, and on where that redirects; return the replies in order."""
        replies: list[Any] = [None] * len(slots)
        left: dict[tuple[Client, bool], list[int]] = {}
        for index, slot in enumerate(slots):
            left.setdefault((await self._owner(slot), False), []).append(index)
        for _ in range(_HOPS):
            again: dict[tuple[Client, bool], list[int]] = {}
            for (node, asking), which in left.items():
                try:
                    got = await send(node, which, asking)
                except (
                    faults.Unreachable
                ) as error:  # nothing was sent; another node may have its slots by now
                    for index in which:
                        owner = await self._owner_instead_of(node, slots[index], error)
                        again.setdefault((owner, False), []).append(index)
                    continue
                except (ConnectionError, TimeoutError):
                    self._nodes.doubt(node)
                    raise
                for index, reply in zip(which, got, strict=True):
                    replies[index] = reply
                    if (error := redirection(reply)) is not None:
                        step = await self._nodes.follow(error, node), not isinstance(error, MovedError)
                        again.setdefault(step, []).append(index)
            if not again:
                return replies
            left = again
        raise ConnectionError("The nodes of the cluster do not agree on who serves a key; they may soon")

    async def _failed(self, node: Client, error: RedisError) -> None:
        """React to an error of ``node``; raise it unless nothing was executed, so that ``_deliver`` may begin anew."""
        if isinstance(error, MovedError):
            await self._nodes.follow(error, node)
        elif not isinstance(error, AskError):
            self._nodes.doubt(node)
            if not isinstance(error, faults.Unreachable):
                raise error

    async def _owner(self, slot: int | None) -> Client:
        slot = self._home if slot is None else slot
        return self._nodes.owner_now(slot) or await self._nodes.owner(slot)

    async def _owner_instead_of(self, node: Client, slot: int | None, error: RedisError) -> Client:
        self._nodes.doubt(node)
        if (owner := await self._owner(slot)) is node:
            raise error
        return owner

    # Connections.

    def pool(self) -> Pool:
        raise RuntimeError("A cluster's connections are its nodes': acquire() or open()")

    async def acquire(self, *command: Argument) -> tuple[Pool, Connection]:
        """As ``Client``'s, to the owner of the command's first key."""
        return await self._connected(slot_of(command) if command else None, Client.acquire)

    async def open(self) -> tuple[Pool, Connection]:
        """As ``Client``'s, to the owner of ``home``: publishing and subscribing need no second node."""
        return await self._connected(None, Client.open)

    async def _connected(self, slot: int | None, connect: Callable[[Client], Awaitable[T]]) -> T:
        node = await self._owner(slot)
        for _ in range(_HOPS):
            try:
                return await connect(node)
            except faults.Unreachable as error:
                node = await self._owner_instead_of(node, slot, error)
        raise ConnectionError("The nodes of the cluster go away one by one")

    @asynccontextmanager
    async def dedicated(self) -> AsyncGenerator[Connection]:
        """As ``Client``'s, to the owner of ``home``.

        Raises: ConnectionError - its slot is another node's; a new connection goes there.
        """
        try:
            async with super().dedicated() as connection:
                yield connection
        except AskError as error:
            raise ConnectionError(f"The slot is served by another node now: {error}") from error

    async def unblock(self, connection: Connection, number: int) -> None:
        """As ``Client``'s, at the connection's own node."""
        if (node := self._nodes.at_address(connection.peer)) is not None:
            await node.unblock(connection, number)

    def note_error(self, error: RedisError) -> None:
        """Read the map of slots again after a redirection or a lost connection."""
        if isinstance(error, AskError | ClusterDownError | ConnectionError | TimeoutError):
            self._nodes.doubt()

    async def servers_of(self, commands: Sequence[Sequence[Argument]]) -> Sequence[Client]:
        """As ``Client``'s."""
        return list(dict.fromkeys([await self._owner(slot_of(command)) for command in commands]))

    def close(self) -> None:
        """As ``Client``'s, all nodes."""
        super().close()
        self._nodes.close()

    # Commands to every primary.

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """As ``Client``'s; some commands go to every primary, see the class."""
        words = str(args[0]).upper().split(" ")
        if words[0] in _SPREAD:
            name = (
                words[0] if words[0] in _EVERYWHERE else " ".join([*words, *map(str, args[1:2])][:2]).upper()
            )
            if words[0] == "SCAN":
                raise RedisError("SCAN goes through one server; on a cluster use scan_iter()")
            if (merge := _EVERYWHERE.get(name)) is not None:
                nodes = await self._nodes.primaries()
                return merge([await node.execute_command(*args, **options) for node in nodes])
        return await super().execute_command(*args, **options)

    async def scan_iter(
        self, match: Any = None, count: int | None = None, _type: str | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Yield the keys of every primary, one after the other."""
        for node in await self._nodes.primaries():
            keys = cast("Any", node).scan_iter(match, count, _type, **kwargs)
            async for key in keys:
                yield key


def _commands(commands: Sequence[Sequence[Argument]]) -> _Send:
    """The way to send plain commands."""

    async def send(node: Client, which: Sequence[int], asking: bool) -> Sequence[Any]:
        mine = [commands[index] for index in which]
        if not asking:
            return await node.call_many(mine)
        return (await node.call_many([part for one in mine for part in (("ASKING",), one)]))[1::2]

    return send


def _slots_of(commands: Sequence[Sequence[Argument]]) -> list[int | None]:
    """The slot of each command. Raises: RedisError - one is for every primary."""
    slots = [slot_of(command) for command in commands]
    for command, slot in zip(commands, slots, strict=True):
        if slot is None and (name := str(command[0]).upper()) in _SPREAD:
            raise RedisError(f"{name} goes to every primary of a cluster: not possible in a pipeline")
    return slots


def _in_transaction(replies: Sequence[Any]) -> AskError | None:
    """The redirection that stopped a transaction, if there was one."""
    return next((reply for reply in replies if isinstance(reply, AskError)), None)


def _sum_by_channel(replies: Iterable[Sequence[tuple[bytes, int]]]) -> list[tuple[bytes, int]]:
    counts: dict[bytes, int] = {}
    for reply in replies:
        for channel, count in reply:
            counts[channel] = counts.get(channel, 0) + count
    return list(counts.items())


def _joined(replies: Iterable[Sequence[Any]]) -> list[Any]:
    return list(dict.fromkeys(item for reply in replies for item in reply))


#: Commands that go to every primary, and how to merge their replies.
_EVERYWHERE: dict[str, Callable[[list[Any]], Any]] = {
    "KEYS": _joined,
    "DBSIZE": sum,
    "FLUSHALL": all,
    "FLUSHDB": all,
    "SCRIPT LOAD": lambda replies: replies[0],
    "SCRIPT FLUSH": all,
    "SCRIPT EXISTS": lambda replies: [all(known) for known in zip(*replies, strict=True)],
    "PUBSUB CHANNELS": _joined,
    "PUBSUB NUMSUB": _sum_by_channel,
    "PUBSUB NUMPAT": sum,
}

#: The first words of these, and SCAN, which goes through one server step by step.
_SPREAD = frozenset({"SCAN", *(words.split(" ")[0] for words in _EVERYWHERE)})
