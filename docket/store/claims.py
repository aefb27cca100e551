"""What a worker writes about deliveries: it takes them, renews them, and ends them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import attrs

from .. import clock
from ..errors import Untrusted
from ..transport import Argument, Client, Connection, apart
from ..values import define, hot_value
from . import script_calls
from .admission import Admissions
from .answers import answers
from .codec import EXPIRES, Delivery, Message, bare_result, end_event, fields_of, result_envelope
from .failures import Failures
from .failures_kept import FailureReport, FailuresKept
from .foreign import is_whole, text
from .keys import GROUP, Keys
from .lane_depths import has_lane
from .lanes import Lanes
from .lua import script
from .pauses import Pauses
from .schedule import epoch, milliseconds, placed_as, time_to_live
from .sweeping import Sweeping
from .taken import PAUSED, SIZE_OF_USUAL, USUAL, Refused, Taken, Unreadable, decoded, reply_of, usual

__all__ = ["Again", "Claims", "Ended", "Settled"]

#: Ids per renewing script: it keeps the server for two milliseconds.
RENEW_CHUNK = 200

#: Rows of waiters that are counted in one step.
MOST_ROWS = 100


class Settled(enum.Enum):
    """The result of a write about a claim."""

    OK = b"OK"
    SUPERSEDED = b"SUPERSEDED"
    """A newer generation owns the key; the delivery was removed, nothing else was written (I2)."""
    LOST = b"LOST"
    """Another worker holds the delivery; nothing was written."""
    ASKED = b"ASKED"
    """The run was to be put off, but its cancellation was requested; nothing was written yet."""


_SETTLED = {word.value: word for word in Settled}
_WRITTEN = {value: word for value, word in _SETTLED.items() if word is not Settled.ASKED}


def _size_of(error: str | None, result: tuple[str, str | None] | None, failure: FailureReport | None) -> int:
    _, text = result or ("", None)
    return len(error or "") + len(text or "") + (0 if failure is None else failure.size)


@hot_value
class Ended:
    """How a call ended.

    ``result`` is its key and its text (`Payloads.result`), or its key and None where it was put into another storage
    already.
    """

    state: str
    error: str | None = None
    result: tuple[str, str | None] | None = None
    failure: FailureReport | None = None
    """What is kept of the failure for operators."""
    size: int = attrs.field(
        init=False,
        eq=False,
        repr=False,
        default=attrs.Factory(
            lambda ended: _size_of(ended.error, ended.result, ended.failure), takes_self=True
        ),
    )
    """About how many bytes there are to write."""


@hot_value
class Again:
    """How a claim ended whose key runs again: ``message`` is what is placed in the same step.

    With ``same`` it is the same run, put off: the rules that have admitted it are not asked again. ``ended`` is how the
    call ended, where the next run is another one (a perpetual task's); ``tried`` is the error of an attempt that this
    retries, and ``failure`` what is kept of that for operators.
    """

    message: Message
    same: bool = False
    ended: Ended | None = None
    tried: str = ""
    failure: FailureReport | None = None

    @property
    def size(self) -> int:
        """About how many bytes there are to write."""
        ended = 0 if self.ended is None else self.ended.size
        failure = 0 if self.failure is None else self.failure.size
        return len(self.message.args) + len(self.message.kwargs) + len(self.tried) + ended + failure


@define(eq=False)
class Claims:
    """The deliveries of one worker on one docket. ``ttl`` is how long a final record is kept.

    Methods that move ownership must not be cancelled half-way: a delivery whose answer was lost stays pending until a
    worker looks for it (`claim_unheard`). Call them shielded; each is one bounded round trip. ``asked`` names the
    request: what it brought is found by that name if its answer is lost. No two processes use the same one.
    """

    client: Client
    keys: Keys
    worker: str
    ttl: timedelta | None
    failures_kept: FailuresKept = attrs.field(factory=FailuresKept)
    _unclaimed: tuple[Sequence[Any], str] = attrs.field(init=False, default=((), ""))
    newest_strike: bytes = attrs.field(init=False, default=b"")
    """The id of the last strike that was there when tasks were last taken; empty for none."""
    is_paused: bool = attrs.field(init=False, default=False)
    """Whether all tasks were paused when tasks were last to be taken."""
    lanes: Lanes = attrs.field(
        default=attrs.Factory(lambda self: Lanes(self.keys), takes_self=True), kw_only=True
    )
    lined_up: int = attrs.field(init=False, default=0)
    """How many waited then that were not taken, since their tasks are paused; they are lined up for a resume."""

    @property
    def admissions(self) -> Admissions:
        """What this worker does about limits."""
        return Admissions(self.client, self.keys, self.worker)

    @property
    def sweeping(self) -> Sweeping:
        """What this worker does about dead ones."""
        return Sweeping(self.client, self.keys, self.worker, self.lanes)

    @property
    def pauses(self) -> Pauses:
        """What this worker does about tasks that are paused."""
        return Pauses(self.client, self.keys)

    @property
    def failures(self) -> Failures:
        """What is kept of failures."""
        return Failures(self.client, self.keys, self.failures_kept)

    # taking ----------------------------------------------------------------------------------------------

    async def create_group(self) -> None:
        """Make the stream and its consumer group if they are not there, and find out which lanes are."""
        call = script_calls.group(self.keys, served=self.lanes.to_make)
        lanes = cast("list[bytes]", await self.client.run(*call))
        self.lanes.know(lane.decode() for lane in lanes)

    async def sees_new_lane(self) -> bool:
        """Whether a lane is there that is not known."""
        return await has_lane(self.client, self.keys, besides=self.lanes.there)

    async def take(self, count: int, *, asked: str = "") -> list[Taken]:
        """Read and claim at most ``count`` waiting tasks at once; never blocks."""
        return (await self.take_settling(count, (), asked=asked))[0]

    async def take_settling(
        self, count: int, ended: Sequence[tuple[Delivery, Ended | Again]], *, asked: str = ""
    ) -> tuple[list[Taken], list[Settled | None]]:
        """`settle` claims that have ended (`reschedule` those whose keys run again), then `take`, in one step.

        Shapes: a result for each of ``ended``, None where it is not known: then nothing was written about it, and
        `settle` says why. If this raises, each of them may have been written, and `settle` finds out.
        """
        now = clock.now()
        at = now.isoformat()
        finals: list[Argument] = []
        sent: list[bool] = []
        for delivery, how in ended:
            try:
                if isinstance(how, Again):
                    final = self._again(delivery, how, now, at)
                else:
                    final = self._final(delivery, how, now, at)
                finals += len(final), *final
                sent.append(True)
            except Exception:  # noqa: BLE001 - of this one (I9); `settle` raises it again
                sent.append(False)
        call = script_calls.take(
            self.keys,
            worker=self.worker,
            started_at=at,
            asked=asked,
            count=self.lanes.to_read(count),
            ended=finals,
        )
        reply = cast("list[Any]", await self.client.run(*call))
        taken = await self._taken(reply, redelivered=False)
        if not self.lanes.is_plain:
            self._count_starts(taken)
        settled = iter(reply[1].split())
        return taken, [_WRITTEN.get(next(settled)) if was_sent else None for was_sent in sent]

    def _final(self, delivery: Delivery, ended: Ended, now: datetime, at: str) -> list[Argument]:
        """The end of a claim as lib/settle.lua takes it; ``at`` is ``now`` as text."""
        fence, key, ttl = delivery.fence, delivery.message.key, self.kept_for(delivery)
        event = end_event(key, ended.state, at, ended.error)
        how = f"{fence.generation} {fence.claim} {ended.state} {time_to_live(ttl)}"
        final: list[Argument] = [fence.message_id, key, event, how]
        if ended.result is not None:
            stored = ended.result[0], *self._stored(key, ended.result, now, ttl)
        elif ended.error or delivery.slots or ended.failure is not None:
            stored = "", "", ""
        else:
            return final
        failing = self._failing(delivery, ended.failure, now)
        return [*final, delivery.slots, (ended.error or "").encode(), *stored, *failing]

    def _failing(self, delivery: Delivery, report: FailureReport | None, now: datetime) -> list[Argument]:
        """What is kept of a failure, as lib/failures.lua takes it; nothing of what is none."""
        return [] if report is None else [*report.sent(delivery.message, self.failures_kept, now)]

    async def _taken(self, reply: Any, *, redelivered: bool) -> list[Taken]:
        """What take.lua replies of entries, one after the other."""
        flat = cast("list[Any]", reply)
        taken: list[Taken] = []
        at = 2
        self._note_pauses(flat[0])
        if at < len(flat) and not self.is_paused:
            self.newest_strike = flat[0]
        while at < len(flat):
            if flat[at + 1] == USUAL:
                taken.append(usual(flat[at : at + SIZE_OF_USUAL], self.worker, redelivered))
                at += SIZE_OF_USUAL
                continue
            message_id, word, claim, times, ttl, size = flat[at : at + 6]
            at += 6 + size
            fields = flat[at - size : at]
            one = reply_of(message_id, word, claim, fields, times, ttl, self.worker, redelivered)
            if one is not None:
                taken.append(one)
            elif word == PAUSED:
                self.lined_up += 1
        if not all(isinstance(one, Refused) for one in taken):
            await self._notify_neighbours()
        return taken

    def _note_pauses(self, newest: bytes) -> None:
        """Note what the id of the last strike, or the word in its place, says of pauses."""
        self.is_paused, self.lined_up = newest == PAUSED, 0

    async def _notify_neighbours(self) -> None:
        """Notify other workers in this process of what they may have to take over one day."""
        if self.client.is_memory:
            await self.client.call("PUBLISH", self.keys.wake, f"claimed {self.worker}")

    async def unfinished(self) -> int:
        """How many tasks wait or run on the docket, here or elsewhere, at one moment.

        Not exact where they wait for hundreds of limits, but zero only if there are none.
        """
        call = script_calls.unfinished(self.keys, most=MOST_ROWS)
        return cast("int", await self.client.run(*call))

    async def wait_for_tasks(
        self,
        connection: Connection,
        count: int,
        block: timedelta,
        *,
        come: Callable[[], None] = lambda: None,
        asked: str = "",
    ) -> list[Taken]:
        """Wait up to ``block`` for tasks, on a connection of its own; read and claim at most ``count``.

        There may be more, one of each lane, where there are more lanes than that.
        ``come`` is called between the two: their leases begin after it.
        """
        streams = self.lanes.streams()
        reply = await connection.call(
            "XREADGROUP", "GROUP", GROUP, self.worker, "COUNT", max(1, count // len(streams)),
            "BLOCK", milliseconds(block), "STREAMS", *streams, *(">" for _ in streams),
        )  # fmt: skip
        come()
        read = cast("list[Any] | None", reply) or ()
        entries = [entry for _, of_stream in read for entry in of_stream]
        if not entries:
            return []
        taken = await self._claim(entries, asked)
        self._count_starts(taken)
        return taken

    def _count_starts(self, taken: Sequence[Taken]) -> None:
        self.lanes.started([one.message_id for one in taken if isinstance(one, Delivery)])

    async def take_over(
        self, message_ids: Sequence[bytes], idle: timedelta, *, asked: str = ""
    ) -> list[Taken]:
        """Claim those of these deliveries that still nobody has renewed for ``idle``."""
        call = script_calls.takeover(
            self.keys,
            worker=self.worker,
            started_at=clock.now().isoformat(),
            asked=asked,
            idle_ms=milliseconds(idle),
            ids=message_ids,
        )
        return await self._taken(await self.client.run(*call), redelivered=True)

    async def claim_unheard(
        self, message_ids: Sequence[bytes], questions: Sequence[str], *, asked: str = ""
    ) -> list[Taken]:
        """Claim those of these deliveries that the server gave to this process in answers that were lost.

        That is what the requests ``questions`` have claimed, and what a blocking read has brought that was not claimed
        since. Another process of the same name keeps its own deliveries.
        """
        call = script_calls.unheard(
            self.keys,
            worker=self.worker,
            started_at=clock.now().isoformat(),
            asked=asked,
            count=len(questions),
            questions_and_ids=[*questions, *message_ids],
        )
        return await self._taken(await self.client.run(*call), redelivered=True)

    @property
    def unclaimed(self) -> str:
        """The question that has brought what `claim_read` would claim; empty for none."""
        return self._unclaimed[1]

    async def claim_read(self) -> list[Taken]:
        """Claim what was read when the server refused that, or was lost in between; else nothing is sent."""
        entries, asked = self._unclaimed
        return await self._claim(entries, asked) if entries else []

    async def _claim(self, entries: Sequence[tuple[bytes, list[bytes]]], asked: str = "") -> list[Taken]:
        taken: list[Taken] = []
        good: list[tuple[bytes, list[bytes]]] = []
        deliveries: list[bytes] = []
        for message_id, flat in entries:
            fields = fields_of(flat)
            if b"key" in fields and is_whole(generation := fields.get(b"generation", b"0")):
                good.append((message_id, flat))
                if (expires := fields.get(EXPIRES)) and b" " not in expires:
                    generation += b" " + expires
                deliveries += (message_id, fields[b"key"], generation)
            else:
                taken.append(decoded(message_id, flat, 0, self.worker, redelivered=False))
        if good:
            self._unclaimed = entries, asked
            call = script_calls.claim(
                self.keys,
                worker=self.worker,
                started_at=clock.now().isoformat(),
                asked=asked,
                deliveries=deliveries,
            )
            newest, *replies = cast("list[Any]", await self.client.run(*call))
            self._unclaimed = (), ""
            self._note_pauses(newest)
            if not self.is_paused:
                self.newest_strike = newest
            for at, (message_id, flat) in enumerate(good):
                word, claim, times, ttl = replies[4 * at : 4 * at + 4]
                one = reply_of(message_id, word, claim, flat, times, ttl, self.worker, redelivered=False)
                if one is not None:
                    taken.append(one)
                elif word == PAUSED:
                    self.lined_up += 1
            await self._notify_neighbours()
        return taken

    async def take_turn(self, delivery: Delivery, share: bytes) -> Settled | None:
        """Have a run that has not begun wait for its turn, which its message does not say (`share_field`).

        None: it goes on, for it has had its turn or was cancelled. OK: that is written, and the delivery is over.
        """
        call = script_calls.take_turn(self.keys, fence=delivery.fence, key=delivery.message.key, share=share)
        word = cast("bytes", await self.client.run(*call))
        if word == b"GOES_ON":
            return None
        if word != b"WAITS":
            return Settled(word)
        self.lanes.lined_up(delivery.message_id)
        return Settled.OK

    async def look_after_turns(self, *levels: str) -> None:
        """Have tasks that wait for their turn follow those that had theirs, if whoever was to see to it has died.

        Without ``levels`` all that have such: no command is sent while there are none.
        """
        levels = levels or self.lanes.with_turns
        if levels:
            await self.client.run(*script_calls.draw(self.keys, levels=levels))

    # keeping ---------------------------------------------------------------------------------------------

    async def renew(self, held: Sequence[bytes]) -> frozenset[bytes]:
        """Push back the redelivery of every held delivery; return those that another worker holds now.

        Shapes: ``held`` are message ids and may be empty (no command is sent); the result is a subset.
        Units: the server counts idle ms from this call; our clock is not read.
        Cancel: safe; a renewal that was sent and not answered still counts.
        Source: https://redis.io/docs/latest/commands/xclaim/ (JUSTID leaves the delivery counter alone: I4)
        """
        lost: set[bytes] = set()
        for at in range(0, len(held), RENEW_CHUNK):
            ids = held[at : at + RENEW_CHUNK]
            call = script_calls.renew(self.keys, worker=self.worker, ids=ids)
            reply = await self.client.run(*call)
            lost.update(cast("list[bytes]", reply))
        return frozenset(lost)

    async def cancel_requested(self, keys: Sequence[str]) -> list[int | None]:
        """For each task key the generation whose cancellation was requested while it ran, or None."""
        commands = [("HGET", self.keys.run(key), "cancel_requested") for key in keys]
        replies = answers(await self.client.call_many(commands))
        return [int(r) if isinstance(r, bytes) and is_whole(r) else None for r in replies]

    # ending ----------------------------------------------------------------------------------------------

    def kept_for(self, delivery: Delivery) -> timedelta | None:
        """How long the record of a task is kept: as its caller has given it, else as this docket says."""
        given = delivery.message.ttl
        return self.ttl if given is ... else given

    async def settle(self, delivery: Delivery, ended: Ended) -> Settled:
        """Write a final state, store the result with it, and acknowledge, in one step (I1, I2)."""
        now = clock.now()
        at = now.isoformat()
        call = script_calls.settle(
            self.keys, worker=self.worker, ended_at=at, ended=self._final(delivery, ended, now, at)
        )
        return _SETTLED[cast("bytes", await self.client.run(*call))]

    async def reschedule(self, delivery: Delivery, again: Again) -> Settled:
        """Place the next run of the key and acknowledge this delivery, in one step (I1, I2).

        Nothing is written if the cancellation of the key was requested (ASKED).
        """
        now = clock.now()
        at = now.isoformat()
        call = script_calls.reschedule(
            self.keys, worker=self.worker, ended_at=at, ended=self._again(delivery, again, now, at)
        )
        return _SETTLED[cast("bytes", await self.client.run(*call))]

    def _again(self, delivery: Delivery, how: Again, now: datetime, at: str) -> list[Argument]:
        """The end of a claim whose key runs again, as lib/follow.lua takes it; ``at`` is ``now`` as text."""
        fence, following, ended = delivery.fence, how.message, how.ended
        report = how.failure if ended is None else ended.failure
        failing = self._failing(delivery, report, now)
        key, ttl = following.key, self.kept_for(delivery)
        due, when, event = placed_as(following, now)
        over: list[Argument] = [""] * 6
        if ended is not None:
            ended_event = end_event(key, ended.state, at, ended.error)
            name = "" if ended.result is None else ended.result[0]
            stored = self._stored(key, ended.result, now, ttl)
            over = [ended_event, ended.state, (ended.error or "").encode(), name, *stored]
        return [
            fence.message_id, fence.generation, fence.claim, key, self.keys.queue_of(key), epoch(following.when),
            due, event, int(how.same), how.tried.encode(), delivery.slots, *over, time_to_live(ttl),
            len(failing), *failing, *following.to_send(when),
        ]  # fmt: skip

    def _stored(
        self, key: str, result: tuple[str, str | None] | None, now: datetime, ttl: timedelta | None
    ) -> tuple[str, Argument]:
        """Where a result is to be stored, and as what: '' where Redis is not to keep it."""
        keys = self.keys
        name, text = result or ("", None)
        if text is None:
            return keys.run(key), ""
        if keys.tagged:
            return keys.result_bare(name), apart(bare_result(text))
        envelope = result_envelope(keys.results_collection, name, text, now=now, ttl=ttl)
        return keys.result_envelope(name), apart(envelope)

    async def prepare(self) -> None:
        """Have the server know the script of `hand_back`, and this process those of the first task: it would wait."""
        for name in ("claim", "take", "settle"):
            script(name)
        await self.client.call("SCRIPT", "LOAD", script("handback").text)

    async def hand_back(self, delivery: Delivery, *, begun: bool = True) -> Settled:
        """Queue the task again at once for any worker; this attempt does not count.

        One whose body has not ``begun``, here or where it was claimed before, may still expire.
        """
        key = delivery.message.key
        call = script_calls.handback(
            self.keys,
            fence=delivery.fence,
            key=key,
            now_epoch=epoch(clock.now()),
            slots=delivery.slots,
            begun=int(begun or delivery.had_begun),
        )
        return Settled(await self.client.run(*call))

    async def set_aside(self, unreadable: Unreadable) -> None:
        """Put aside, with the reason, a delivery that cannot be decoded; fail its run if it has one (I9)."""
        now = clock.now()
        at, reason = now.isoformat(), str(unreadable.reason)
        key = unreadable.key or ""
        shown = key if isinstance(key, str) else text(key)
        event = end_event(shown, "failed", at, f"DeliveryUnreadable: {reason}")
        call = script_calls.discard(
            self.keys,
            message_id=unreadable.message_id,
            worker=self.worker,
            reason=reason,
            at=at,
            ttl_ms=time_to_live(self.ttl),
            key=key,
            state_event=event,
            slots=unreadable.slots,
            generation=unreadable.generation,
            forged=int(isinstance(unreadable.reason, Untrusted)),
            **self.failures_kept.bounds(now),
        )
        await self.client.run(*call)
