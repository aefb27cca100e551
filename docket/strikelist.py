"""Strikes: tasks and calls that may not run at present, in any process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import attrs

from .client import SigningKey, SigningMode, Strikable, are_struck, is_struck, signatures_of
from .rules import (
    LiteralOperator,
    MinimalStrike,
    Operator,
    ParameterStrikes,
    TaskStrikes,
    checked_condition,
)
from .standins import redis_errors
from .store import (
    READ_AT_LEAST,
    Keys,
    Payloads,
    Restore,
    Strike,
    StrikeInstruction,
    StrikeMessage,
    Strikes,
)
from .text import checked_name
from .transport import Client, Tail, from_url
from .variables import is_set

if TYPE_CHECKING:
    from redis.credentials import CredentialProvider


__all__ = [
    "DocketStrikes",
    "LiteralOperator",
    "Message",
    "MinimalStrike",
    "Operator",
    "ParameterStrikes",
    "Restore",
    "Strike",
    "StrikeInstruction",
    "StrikeList",
    "TaskStrikes",
]

logger = logging.getLogger("docket.strikelist")

Message = StrikeMessage

_NOT_CONNECTED = (
    "Cannot send strike instruction: not connected to Redis; give the StrikeList a url= and use it in "
    "`async with`"
)


class StrikeList:
    """The strikes of a docket, for programs that have no docket; or, without a ``url``, a list of their own.

    Entered (``async with StrikeList(url=..., name=...)``) it keeps a connection on which the server sends new
    strikes, without a background task: what has arrived is read when the list is used, so `is_stricken` knows what
    other processes have struck. Where that connection is lost, or somebody struck or restored about a hundred times
    since the list was last used, the strikes known so far stay in force (which is logged once) until one of the
    asynchronous methods is used, which begins anew. ``async with`` may be entered and left in different tasks, and
    again; it does not fail if the server cannot be reached. Threads and event loops may share a list. Values of strikes
    travel as the variables ``DOCKET_SERIALIZER`` and ``DOCKET_ACCEPT`` say (`Docket`), else as pickles.

    Raises: BadUrl (a ValueError) - the URL names no server; UsageError (a ValueError) - the name cannot be in a key.
    """

    def __init__(
        self,
        url: str | None = None,
        name: str = "strikelist",
        enable_internal_instrumentation: bool = False,
        credential_provider: CredentialProvider | None = None,
        signing_keys: Sequence[SigningKey] | None = None,
        signatures: SigningMode | None = None,
    ) -> None:
        name = checked_name(name, "the name of a docket")
        client = None
        if url is not None:
            client = from_url(url, credential_provider=credential_provider, home=f"{{{name}}}")
        on_cluster = client is not None and client.is_cluster
        keys = Keys.on_cluster(name) if on_cluster else Keys(name)
        payloads = Payloads(name)
        if is_set("DOCKET_SERIALIZER", "DOCKET_ACCEPT"):
            from .serializers import chosen  # most have pickles, and need none of it

            payloads = chosen().payloads(name)
        signed = signatures_of(name, signing_keys, signatures, None)
        strikes = Strikes(keys, attrs.evolve(payloads, signatures=signed))
        self._begin(name, url, client, strikes, enable_internal_instrumentation)

    def _begin(
        self, name: str, url: str | None, client: Client | None, strikes: Strikes, instrumented: bool
    ) -> None:
        self.url, self.name = url, name
        self.enable_internal_instrumentation = instrumented
        self._client, self._strikes = client, strikes
        self._tail: Tail | None = None
        self._entered = 0
        self._entering = Lock()

    @property
    def prefix(self) -> str:
        """What all keys of the docket begin with."""
        return self._strikes.keys.prefix

    @property
    def strike_key(self) -> str:
        """The stream of instructions."""
        return self._strikes.keys.strikes

    # opening and closing ---------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        with self._entering:
            self._entered += 1
            client = None if self._tail is not None else self._client
            if client is not None:
                self._tail = Tail(client, self.strike_key, kept_ms=READ_AT_LEAST)
        if client is not None:
            try:
                await self.catch_up()
            except redis_errors.RedisError as error:
                self._cut_off(error)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._entering:
            self._entered -= 1
            if self._entered:
                return
            tail, self._tail = self._tail, None
        if tail is not None:
            tail.close()
        if self._client is not None:
            self._client.close()

    async def wait_for_strikes_loaded(self) -> None:
        """Return once everything that the server holds at this moment is known here.

        Raises: redis.exceptions.RedisError; RuntimeError - the list has not been entered. A list without a
        ``url`` returns at once.
        """
        if self._client is not None:
            await self.catch_up()

    # striking --------------------------------------------------------------------------------------------

    async def strike(
        self,
        function: str | None = None,
        parameter: str | None = None,
        operator: Operator | LiteralOperator = "==",
        value: Hashable | None = None,
    ) -> None:
        """Forbid a task, or calls in which a parameter compares so with ``value``, of one task or of all.

        ``between`` takes ``(lower, upper)``, both included. Once this has returned the strike is in force for
        everything that is added from then on, in every process, and for what is queued and has not begun.

        Raises: UsageError (a ValueError) - an unknown operator, a comparison without a parameter, a ``between``
        that is no ordered pair; TypeError - a value that cannot be hashed, compared so, or pickled; RuntimeError -
        not entered, or no ``url``; redis.exceptions.RedisError - it may have been added.
        Cancel: it may have been added.
        """
        await self.send_instruction(Strike.about(checked_condition(function, parameter, operator, value)))

    async def restore(
        self,
        function: str | None = None,
        parameter: str | None = None,
        operator: Operator | LiteralOperator = "==",
        value: Hashable | None = None,
    ) -> None:
        """Take back the strike that was made with the same words; others stay. Raises as `strike`."""
        await self.send_instruction(Restore.about(checked_condition(function, parameter, operator, value)))

    async def send_instruction(self, instruction: StrikeInstruction) -> None:
        """Add an instruction. Raises: TypeError - its value cannot be pickled; otherwise as `strike`."""
        client = self._connected()
        await self._follow()
        await self._strikes.write(client, instruction)

    def update(self, instruction: StrikeInstruction) -> None:
        """Let an instruction take effect here, and nowhere else."""
        with self._strikes.lock:
            self._strikes.log.apply(instruction)

    def add_condition(self, condition: Callable[[Any], bool]) -> None:
        """Strike, here, the executions for which ``condition`` is true."""
        self._strikes.conditions.append(condition)

    def remove_condition(self, condition: Callable[[Any], bool]) -> None:
        """Take back a condition. Raises: ValueError - it was not added."""
        self._strikes.conditions.remove(condition)

    # asking ----------------------------------------------------------------------------------------------

    @property
    def task_strikes(self) -> TaskStrikes:
        """What is struck of single tasks: by task, then by parameter, ``(operator, value)``. Read only.

        A task that is struck as a whole is there, too, with whatever of its parameters is struck besides.
        """
        self._look()
        return self._strikes.log.effect.tasks

    @property
    def parameter_strikes(self) -> ParameterStrikes:
        """What is struck for every task: by parameter, ``(operator, value)``. Read only."""
        self._look()
        return self._strikes.log.effect.parameters

    def strikes(self) -> list[Strike]:
        """The strikes in effect, as far as they are known here."""
        self._look()
        with self._strikes.lock:
            return [Strike.about(condition) for condition in self._strikes.log.effect.conditions()]

    def is_stricken(self, target: Strikable | Mapping[str, Any]) -> bool:
        """Whether a strike forbids an execution; of a mapping, whether one on all tasks forbids these values.

        Of an execution all arguments count, also those that it leaves to the defaults of the function and those in
        ``**kwargs``; not what dependencies supply. A value that cannot be compared does not match, and is logged.
        """
        self._look()
        if isinstance(target, Mapping):
            return are_struck(self._strikes, target)
        return is_struck(self._strikes, target)

    # inside ----------------------------------------------------------------------------------------------

    def _connected(self) -> Client:
        if self._client is None or not self._entered:
            raise RuntimeError(_NOT_CONNECTED)
        return self._client

    async def catch_up(self) -> None:
        """Read what is new on the server. Raises as `wait_for_strikes_loaded`."""
        client = self._connected()
        await self._follow()
        await self._strikes.catch_up(client)

    async def _follow(self) -> None:
        """Have the server send new instructions, if it does not yet. Read those that are there already after this."""
        tail = self._tail
        if tail is None:
            return
        if tail.is_followed:
            try:
                self._fold(tail)  # else who strikes and never asks would keep it, and then be cut off
            except redis_errors.RedisError:
                tail.close()
        if not tail.is_open:
            await tail.open()

    def _look(self) -> None:
        """Apply the instructions that have arrived; never waits."""
        tail = self._tail
        if tail is not None and tail.is_followed:
            try:
                self._fold(tail)
            except redis_errors.RedisError as error:
                self._cut_off(error)

    def _fold(self, tail: Tail) -> None:
        with self._strikes.lock:
            self._strikes.fold(tail.new_entries(self._strikes.log.version))

    def _cut_off(self, error: redis_errors.RedisError) -> None:
        if (tail := self._tail) is not None:
            tail.close()  # so this is logged once
        logger.warning(
            "The strikes of %r are not followed any more: %s; what is known of them counts until the list is awaited",
            self.name,
            error,
        )


class DocketStrikes(StrikeList):
    """The strikes of an open docket: they are read when the server refuses a placing because there are new ones.

    From the first time that it is awaited (`wait_for_strikes_loaded`, `Docket.strikes`, `strike`, `restore`) until the
    docket is left it keeps a connection, as a `StrikeList` does, so the synchronous methods know what other processes
    have struck. Before, they know what was there when something was last added, which is logged once.
    """

    def __init__(
        self,
        name: str,
        url: str,
        strikes: Strikes,
        connected: Callable[[], Client],
        enable_internal_instrumentation: bool = False,
    ) -> None:
        # Keys and serializers are the docket's: they are read once, and may not be what the environment says.
        self._begin(name, url, None, strikes, enable_internal_instrumentation)
        self._connected = connected
        self._stale_was_logged = False

    @property
    def version(self) -> bytes:
        """The id of the last instruction that is known here; empty for none."""
        return self._strikes.log.version

    def may_concern(self, newest: bytes) -> bool:
        """Whether anything can be struck at all; ``newest`` is the id of the last instruction on the server, if any."""
        return bool(newest or self._strikes.conditions)

    def knows(self, newest: bytes) -> bool:
        """Whether everything up to an instruction of this id is known here."""
        return self._strikes.log.reaches(newest)

    def trust_nobody(self) -> None:
        """Begin anew, and unpickle nothing: a strike whose value is not plain is left to the workers from now on.

        For programs that run where no code of others may, like the command line.
        """
        self._strikes.trust_nobody()

    def forbids(self, execution: Strikable) -> bool:
        """`is_stricken` for a worker, which has read what there was when it took the execution."""
        return is_struck(self._strikes, execution)

    async def wait_for_strikes_loaded(self) -> None:
        self._begin_to_follow()
        await self.catch_up()

    async def send_instruction(self, instruction: StrikeInstruction) -> None:
        self._begin_to_follow()
        await super().send_instruction(instruction)

    def _begin_to_follow(self) -> None:
        client = self._connected()
        with self._entering:
            if self._tail is None:
                self._tail = Tail(client, self.strike_key, kept_ms=READ_AT_LEAST)

    def _look(self) -> None:
        if self._tail is None and not self._stale_was_logged:
            self._stale_was_logged = True
            logger.warning(
                "The strikes of docket %r are shown as this program read them last: once it has awaited "
                "docket.wait_for_strikes_loaded() they follow what other programs strike",
                self.name,
            )
        super()._look()

    def unfollow(self) -> None:
        """Give the connection back, as the docket is left."""
        with self._entering:
            tail, self._tail = self._tail, None
        if tail is not None:
            tail.close()
