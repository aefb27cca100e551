"""Who may begin: the rules of a task, checked and taken together; and what can be seen of limits in use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeAlias, cast

from ..rules import (
    Abandon,
    AdmissionRule,
    AwaitSlot,
    Cancel,
    CooldownRule,
    DebounceRule,
    Defer,
    Drop,
    RateRule,
    SlotRule,
    Verdict,
    pack,
)
from ..standins import redis_errors
from ..transport import Client
from ..values import define, frozen
from . import script_calls
from .answers import answers, is_about_a_key, naming
from .codec import Delivery, state_event
from .foreign import text, whole
from .keys import Keys, paused_task
from .schedule import milliseconds

__all__ = ["Admissions", "Asking", "Holding", "LimitInUse"]

#: Limits that one script looks after, and deliveries whose slots it renews: it keeps the server for a few milliseconds.
WAKE_CHUNK = 5
RENEW_CHUNK = 50
PAGE = 500


Asking: TypeAlias = "tuple[Delivery, Sequence[AdmissionRule], str]"
"""A delivery that is to be admitted by these rules, and the slots among them, as `docket.rules.pack` writes them."""


@frozen
class Holding:
    """The slots that one delivery holds, as `docket.rules.pack` writes them."""

    message_id: bytes
    key: str
    slots: str


@frozen
class LimitInUse:
    """A concurrency limit with tasks that run under it or wait for it.

    ``key`` is its name on the server. ``holders`` are the keys of the tasks that run, ``woken`` of those that have
    been given a slot and are on the way to a worker, ``waiters`` of those that wait, in their order. Of very long
    rows only the first are listed; ``waiting`` counts them all. ``parents`` are those of the holders that have a task
    group open: they keep their slots while its children run.
    """

    key: str
    limit: int
    holders: tuple[str, ...]
    woken: tuple[str, ...]
    waiters: tuple[str, ...]
    waiting: int
    parents: tuple[str, ...] = ()


@define(eq=False)
class Admissions:
    """What one worker (or, with ``worker`` empty, a client) does about the limits of one docket."""

    client: Client
    keys: Keys
    worker: str = ""

    async def admit(
        self, delivery: Delivery, rules: Sequence[AdmissionRule], lease: timedelta
    ) -> Verdict | None:
        """`admit_each` of one. Raises: RedisError."""
        slots = pack((rule for rule in rules if isinstance(rule, SlotRule)), lease)
        (answer,) = await self.admit_each([(delivery, rules, slots)])
        if isinstance(answer, redis_errors.RedisError):
            raise answer
        return answer

    async def admit_each(self, asking: Sequence[Asking]) -> list[Verdict | redis_errors.RedisError | None]:
        """Take everything that a claimed run needs to begin, or nothing, for each in turn; None: it may begin.

        AwaitSlot is written already, and Abandon leaves nothing to write; the other verdicts are to be settled, and
        nothing is held for them. An error is of the one in whose place it stands.
        Units: the server's clock decides; the times in its replies are relative.
        Cancel: the runs may or may not hold slots; what comes of them is decided again at redelivery.
        Raises: RedisError - each may or may not hold slots, and may be asked about again.
        """
        calls: list[Any] = []
        for delivery, rules, slots in asking:
            key = delivery.message.key
            call = script_calls.admit(
                self.keys,
                fence=delivery.fence,
                key=key,
                redelivered=int(delivery.redelivered),
                state_event=state_event(key, "scheduled"),
                limits=slots,
                rules=[word for rule in rules for word in _flat(rule)],
            )
            calls.append(call)
        if len(calls) == 1:
            return [_verdict(await self.client.run(*calls[0]))]
        replies = await self.client.run_many(calls[0][0], [(keys, args) for _, keys, args in calls])
        return [reply if isinstance(reply, redis_errors.RedisError) else _verdict(reply) for reply in replies]

    async def renew(self, holdings: Sequence[Holding]) -> None:
        """Keep the slots of deliveries that are still this worker's; none: no command is sent."""
        for at in range(0, len(holdings), RENEW_CHUNK):
            flat: list[Any] = []
            for holding in holdings[at : at + RENEW_CHUNK]:
                flat += (holding.message_id, holding.key, holding.slots)
            call = script_calls.renew_slots(
                self.keys,
                worker=self.worker,
                holdings=flat,
            )
            await self.client.run(*call)

    # waking ----------------------------------------------------------------------------------------------

    async def wake(self, packed: Sequence[str | bytes]) -> None:
        """Free the slots of holders that are gone, and wake waiting tasks while there is room.

        ``packed`` are limits, each by itself. What is more than one script should do is announced on the docket's
        wake channel, for a worker to go on (`look_after`).
        """
        for at in range(0, len(packed), WAKE_CHUNK):
            call = script_calls.wake(
                self.keys,
                limits=packed[at : at + WAKE_CHUNK],
            )
            await self.client.run(*call)

    async def look_after(self, name: str) -> None:
        """Do that for one limit that is in use. Anybody may have asked for it: what is none is left to the sweep."""
        try:
            packed = cast("bytes | None", await self.client.call("HGET", self.keys.limits, name))
        except redis_errors.ResponseError as error:
            if not is_about_a_key(error):
                raise
            return
        if packed is not None:
            await self.wake([packed])

    async def sweep(self) -> None:
        """Do that for all limits in use; what is said to be one and is not the docket's goes.

        Raises: KeyUnreadable - their list, or that of those with waiters, is none; RedisError.
        """
        packed, foreign = list[bytes](), list[bytes]()
        with naming(self.keys.limits, "hash"):
            async for name, each in self._in_use():
                is_ours = name.startswith(f"{self.keys.prefix}:".encode())
                (packed if is_ours else foreign).append(each if is_ours else name)
            if foreign:  # scripts leave such a name alone (lib/slots.lua), and nobody waits there
                await self.client.call("HDEL", self.keys.limits, *foreign)
        if foreign:
            with naming(self.keys.waiting, "set"):
                await self.client.call("SREM", self.keys.waiting, *foreign)
        await self.wake(packed)

    async def safeguard(self, waiter_stream: str, most: int, lease: timedelta) -> None:
        """What pydocket's workers ask for, some time after they have parked a task."""
        limit = SlotRule(waiter_stream.removesuffix(":waiters"), most)
        await self.wake([pack([limit], lease)])

    async def _in_use(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """Name and packed form of every limit in use; what is paused waits for none of these."""
        cursor = b"0"
        while True:
            reply = await self.client.call("HSCAN", self.keys.limits, cursor, "COUNT", PAGE)
            cursor, flat = cast("tuple[bytes, list[bytes]]", reply)
            for name, packed in zip(flat[::2], flat[1::2], strict=True):
                if paused_task(self.keys, text(name)) is None:
                    yield name, packed
            if cursor == b"0":
                return

    # asking ----------------------------------------------------------------------------------------------

    async def in_use(self) -> list[LimitInUse]:
        """Every limit that is in use, by name; what others wrote that is none is left out. Raises: KeyUnreadable."""
        found: dict[str, LimitInUse] = {}
        with naming(self.keys.limits, "hash"):
            packed = {name: limit async for name, limit in self._in_use()}
        for name, limit in packed.items():
            try:
                lease, most = _limit_of(limit)
            except ValueError:
                continue
            seconds, micros = cast("list[bytes]", await self.client.call("TIME"))
            oldest = int(seconds) + int(micros) / 1e6 - lease / 1000
            replies = await self.client.call_many(
                [
                    ("ZRANGEBYSCORE", name, f"({oldest:.6f}", "+inf", "LIMIT", 0, PAGE),
                    ("ZRANGE", name + b":woken", 0, PAGE - 1),
                    ("XRANGE", name + b":waiters", "-", "+", "COUNT", PAGE),
                    ("XLEN", name + b":waiters"),
                ]
            )
            holders, woken, waiters, waiting = (
                None if isinstance(reply, redis_errors.RedisError) else cast("Any", reply)
                for reply in answers(replies)
            )
            running = _texts(holders or ())
            found[text(name)] = LimitInUse(
                key=text(name),
                limit=most,
                holders=running,
                woken=_texts(woken or ()),
                waiters=_texts(_key_of(entry[1]) for entry in waiters or ()),
                waiting=waiting or 0,
                parents=await self._parents(running),
            )
        return [found[name] for name in sorted(found)]

    async def _parents(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Those of running tasks that have a task group open."""
        if not keys:
            return ()
        opened = await self.client.call_many([("HEXISTS", self.keys.run(key), "groups") for key in keys])
        return tuple(key for key, reply in zip(keys, opened, strict=True) if reply == 1)


def _verdict(reply: Any) -> Verdict | None:
    word, *more = cast("list[Any]", reply)
    match word:
        case b"ADMITTED":
            return None
        case b"PARKED":
            return AwaitSlot(text(more[0]))
        case b"DEFERRED":
            return Defer(timedelta(milliseconds=more[0]))
        case b"DROPPED":
            return Drop(text(more[0]))
        case b"CANCELLED":
            return Cancel()
        case _:  # superseded, or lost to another worker
            return Abandon()


def _limit_of(packed: bytes) -> tuple[int, int]:
    """The lease in ms and the number of slots of a limit (lib/slots.lua). Raises: ValueError."""
    lease, _, rest = packed.partition(b" ")
    return whole(lease), whole(rest.partition(b":")[0])


def _texts(raw: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(text(each) for each in raw)


def _key_of(flat: Sequence[bytes]) -> bytes:
    return dict(zip(flat[::2], flat[1::2], strict=True)).get(b"key", b"")


def _flat(rule: AdmissionRule) -> tuple[Any, ...]:
    """A rule in the six words that admit.lua takes; slots travel by themselves."""
    match rule:
        case SlotRule():
            return ()
        case RateRule(name, most, window, drop):
            return "rate", name, f"{name}:reserved", str(most), milliseconds(window), int(drop)
        case CooldownRule(name, window):
            return "cooldown", name, "", "", milliseconds(window), ""
        case DebounceRule(winner, last_seen, settle):
            return "debounce", winner, last_seen, "", milliseconds(settle), ""
