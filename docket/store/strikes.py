"""The strikes of a docket: a stream of instructions, folded by each process that reads it, compacted by each write.

An instruction that a later one about the same overrides is removed by the next write, and so is a `restore` that
has been the last word about something for a day: until then no process that reads in between misses one. The last
instruction of all always stays; its id is the version that placing and taking tasks compare.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from threading import RLock
from typing import Any, TypeAlias, cast

import attrs

from ..errors import Untrusted
from ..rules import Operator, StrikesInEffect
from ..signals import signals, suppress_errors
from ..standins import redis_errors
from ..text import error_text, text_of
from ..transport import Client, Entry, entry_number
from ..values import define, frozen
from . import script_calls
from .answers import naming
from .instructions import Restore, Strike, StrikeInstruction, StrikeMessage, instruction_in, message_of
from .keys import Keys
from .payloads import Payloads
from .plain import NotPlain
from .tags import body_of

__all__ = ["READ_AT_LEAST", "StrikeLog", "Strikes", "must_start_anew"]

logger = logging.getLogger("docket.strikelist")

#: Instructions per read.
PAGE = 500

#: Instructions that one write removes at most, and those that are kept in mind for later writes.
SPENT, REMEMBERED = 500, 10_000

#: What counts as so many that none of them goes: their own code does not let them be counted.
MANY = 2

#: How long a `restore` that is the last word stays, by the server's clock.
DAY = 86_400_000

#: A process that has not read for so long (ms) starts anew: a `restore` may be gone that it has not seen.
READ_AT_LEAST = DAY // 2

#: What an instruction is about, byte by byte: a later one with the same overrides it.
_Identity: TypeAlias = tuple[bytes | None, ...]


def _identity(message: Mapping[bytes, bytes]) -> _Identity:
    function, parameter = message.get(b"function"), message.get(b"parameter")
    if parameter is None:
        return (function,)  # of a whole task nothing is compared
    return (function, parameter, message.get(b"operator"), body_of(message.get(b"value", b"")))


@frozen
class _Word:
    """The last word about something."""

    entry_id: bytes
    condition: Hashable
    """By Python's equality: values with different pickles may be equal. None: it is unknown."""


@define(eq=False)
class StrikeLog:
    """Instructions read so far, and what they come down to. ``name`` is the docket's, for telemetry.

    ``read`` opens their values. One that raises NotPlain (`Payloads.look_at_strike`) leaves out what it does not know,
    and so cannot decide that a `restore` of something else is spent.
    """

    name: str = ""
    read: Callable[[StrikeMessage], Any] = attrs.field(factory=lambda: Payloads().open_strike)
    effect: StrikesInEffect = attrs.field(factory=StrikesInEffect)
    version: bytes = b""
    """The id of the last instruction read; empty for none."""
    _last: dict[_Identity, _Word] = attrs.field(init=False, factory=dict["_Identity", _Word])
    _restored: dict[_Identity, _Word] = attrs.field(init=False, factory=dict["_Identity", _Word])
    """Those of them that are a `restore`, the oldest first."""
    _alike: dict[Hashable, int] = attrs.field(init=False, factory=dict["Hashable", int])
    """How many identities there are of equal conditions."""
    _spent: dict[bytes, None] = attrs.field(init=False, factory=dict["bytes", None])
    """Ids that may be removed; in processes that never write, the latest of them."""
    _partial: bool = attrs.field(init=False, default=False)
    """Whether something was left out that may be equal to what is known."""

    def reaches(self, entry_id: bytes) -> bool:
        """Whether the instruction of this id, and so all before it, were read."""
        return entry_id == self.version or entry_number(entry_id) <= entry_number(self.version)

    def fold(self, entries: Iterable[Entry]) -> None:
        """Take in entries of the stream, in their order; those that were read before change nothing."""
        for entry_id, flat in entries:
            if entry_number(entry_id) > entry_number(self.version):
                self._fold_one(entry_id, dict(zip(flat[::2], flat[1::2], strict=True)))

    def _fold_one(self, entry_id: bytes, message: StrikeMessage) -> None:
        about: Hashable = None
        instruction = None
        try:
            instruction = instruction_in(message, self.read)
            about = self._apply(instruction)
        except Untrusted as error:  # it overrides nothing, and nobody who knows the keys removes it
            logger.warning("Strike instruction %s is skipped: %s", entry_id.decode(), error)
            self.version = entry_id
            return
        except KeyboardInterrupt:
            raise
        except NotPlain as error:
            self._partial = True
            logger.debug("Strike instruction %s is not looked at: %s", entry_id.decode(), error)
        except BaseException as error:  # noqa: BLE001 - a value's own code may raise anything; it harms only itself
            logger.warning(
                "Strike instruction %s cannot be read and is skipped: %s",
                entry_id.decode(),
                error_text(error),
            )
        identity = _identity(message)
        self._override(identity)
        word = self._last[identity] = _Word(entry_id, about)
        if about is not None:
            self._count(about, 1)
            if isinstance(instruction, Restore):
                self._restored[identity] = word
        if not self._partial:
            self._retire(entry_number(entry_id)[0] - DAY)
        self.version = entry_id  # at the end: other threads read it before they judge

    def _apply(self, instruction: StrikeInstruction) -> Hashable:
        self.apply(instruction)
        condition = instruction.condition
        if condition.parameter is None:
            return (condition.function,)
        about = (condition.function, condition.parameter, condition.operator, condition.value)
        try:
            hash(about)
        except TypeError:
            return None
        return about

    def apply(self, instruction: StrikeInstruction) -> None:
        """Let one instruction take effect; one with a value that cannot be hashed is skipped."""
        strikes, condition = isinstance(instruction, Strike), instruction.condition
        try:
            changes = self.effect.has(condition) is not strikes
            (self.effect.strike if strikes else self.effect.restore)(condition)
        except TypeError:
            logger.warning(
                "Incompatible type for strike condition: %s %s",
                Operator(instruction.operator).value,
                text_of(instruction.value, repr),
            )
            return
        logger.info("%s %r", "Striking" if strikes else "Restoring", instruction.call_repr())
        if changes:
            self._signal(instruction, 1 if strikes else -1)

    def give_up(self) -> None:
        """Tell telemetry that nothing of this is in effect any more: another log takes its place."""
        for condition in self.effect.conditions():
            self._signal(Strike.about(condition), -1)

    def _signal(self, instruction: StrikeInstruction, change: int) -> None:
        for each in signals.subscribers:
            with suppress_errors:
                each.strikes({"docket.name": self.name, **instruction.labels()}, change)

    def _override(self, identity: _Identity) -> None:
        """Forget the last word about something: it may be removed."""
        self._restored.pop(identity, None)
        if (word := self._last.pop(identity, None)) is None:
            return
        if word.condition is not None:
            self._count(word.condition, -1)
        self._spent[word.entry_id] = None
        if len(self._spent) > REMEMBERED:
            del self._spent[next(iter(self._spent))]

    def _count(self, condition: Hashable, change: int) -> int:
        """Count one more, or one less, of conditions that are equal to this one; how many there are then."""
        try:
            left = self._alike.get(condition, 0) + change
            if left > 0:
                self._alike[condition] = left
            else:
                self._alike.pop(condition, None)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - the value's own code compares, and may raise anything
            return MANY
        return left

    def _retire(self, before: int) -> None:
        """Let restores go that have been the last word since before that moment (ms of the server's clock).

        Not one that overrides a strike on an equal value with another pickle (1 and 1.0), which would come back.
        """
        while self._restored:
            identity = next(iter(self._restored))
            word = self._restored[identity]
            if entry_number(word.entry_id)[0] >= before:
                break
            del self._restored[identity]
            if self._count(word.condition, 0) == 1:
                self._override(identity)

    def spent(self, message: StrikeMessage) -> list[bytes]:
        """The ids that may be removed once ``message`` is written, the oldest first; so many as one write takes."""
        found = list(self._spent)[: SPENT - 1]
        if (before := self._last.get(_identity(message))) is not None:
            found.append(before.entry_id)
        return found

    def forget(self, removed: Iterable[bytes]) -> None:
        """Note that ids were removed."""
        for entry_id in removed:
            self._spent.pop(entry_id, None)


@define(eq=False)
class Strikes:
    """The strikes of one docket, as far as this process has read them, for all its threads and event loops."""

    keys: Keys
    payloads: Payloads = attrs.field(factory=Payloads)
    read: Callable[[StrikeMessage], Any] = attrs.field(init=False)
    log: StrikeLog = attrs.field(init=False)
    lock: RLock = attrs.field(init=False, factory=RLock)
    """Held for what is one step on the log, never across a wait."""
    conditions: list[Callable[[Any], bool]] = attrs.field(init=False, factory=list["Callable[[Any], bool]"])
    """Predicates of this process on calls: one that is true strikes the call."""

    def __attrs_post_init__(self) -> None:
        self.read = self.payloads.open_strike
        self.log = StrikeLog(self.keys.name, self.read)

    def trust_nobody(self) -> None:
        """Forget everything, and run nothing foreign from now on: a value that is not plain is left out."""
        with self.lock:
            self.read = self.payloads.look_at_strike
            self.log = StrikeLog(self.keys.name, self.read)

    async def catch_up(self, client: Client) -> None:
        """Read what was written since the last time; start anew where instructions may be gone unseen.

        Raises: redis.exceptions.RedisError. Cancel: safe; what was read stays read.
        """
        log: StrikeLog | None = None
        while log is not self.log:  # another one may have begun anew meanwhile
            log, since = self.log, self.log.version
            newest, page = await self._read(client, since)
            if must_start_anew(since, newest):
                await self._read_anew(client)
                return
            self.fold(page, log)
            while len(page) == PAGE:
                _, page = await self._read(client, log.version)
                self.fold(page, log)

    async def _read_anew(self, client: Client) -> None:
        log = StrikeLog(self.keys.name, self.read)
        while True:
            replaced, since = self.log, self.log.version
            page: list[Entry] | None = None
            while page is None or len(page) == PAGE:
                _, page = await self._read(client, log.version)
                log.fold(page)
            with self.lock:
                if self.log is replaced and replaced.version == since:  # else others have read on meanwhile
                    replaced.give_up()
                    self.log = log
                    return

    def fold(self, entries: Iterable[Entry], log: StrikeLog | None = None) -> None:
        """Take in entries of the stream, in their order; those that were read before change nothing."""
        with self.lock:
            (log or self.log).fold(entries)

    async def _read(self, client: Client, after: bytes) -> tuple[bytes, list[Entry]]:
        """The id of the last instruction, and the first page of those after an id."""
        replies = await client.call_many(
            [
                ("XREVRANGE", self.keys.strikes, "+", "-", "COUNT", 1),
                ("XRANGE", self.keys.strikes, after_id(after), "+", "COUNT", PAGE),
            ]
        )
        for reply in replies:
            if isinstance(reply, redis_errors.ResponseError) and str(reply).startswith("WRONGTYPE"):
                return b"", []  # a task of pydocket's lies there, see last_strike in scripts/lib
            if isinstance(reply, redis_errors.RedisError):
                raise reply
        last, page = cast("list[list[Entry]]", replies)
        return (last[0][0] if last else b""), page

    async def write(self, client: Client, instruction: StrikeInstruction) -> None:
        """Add an instruction, remove what is spent, and read up to it.

        Raises: TypeError - the value cannot be pickled; redis.exceptions.RedisError - it may have been added.
        """
        message = message_of(instruction, self.payloads)
        if not self.log.version:
            await self.catch_up(client)  # to know what is spent
        log, since = self.log, self.log.version
        with self.lock:
            spent = log.spent(message)
        fields = [part for pair in message.items() for part in pair]
        with naming(self.keys.strikes, "stream"):
            call = script_calls.strike(
                self.keys,
                after=after_id(since),
                count=PAGE,
                spent_ids=len(spent),
                spent_and_fields=[*spent, *fields],
            )
            reply = await client.run(*call)
        with self.lock:
            log.forget(spent)
        page = cast("list[Entry]", reply)
        anew = bool(page) and must_start_anew(since, page[-1][0])
        if not anew:
            self.fold(page, log)
        if anew or len(page) == PAGE or log is not self.log:
            await self.catch_up(client)


def after_id(version: bytes) -> bytes:
    """Where a range begins that holds what comes after an id."""
    return b"(" + version if version else b"-"


def must_start_anew(since: bytes, newest: bytes) -> bool:
    """Whether a process that has read up to ``since`` may have missed instructions that are gone by now."""
    if not since:
        return False
    (ms, _), (newest_ms, _) = entry_number(since), entry_number(newest)
    return entry_number(newest) < entry_number(since) or newest_ms - ms > READ_AT_LEAST
