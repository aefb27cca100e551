"""What is to become of calls of all kinds, however they are mixed: the model of a test in virtual time.

A model is told what is done to a docket, and by the bodies when they begin and end. So it knows what waits, runs and
follows; it judges what begins, and says as what each call is to end.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import TypeAlias

import attrs

from docket import Disposition, Priority, clock
from docket.errors import ExecutionCancelled, ExecutionExpired
from docket.rules import Cancellation

__all__ = ["ATTEMPTS", "DELAY", "EVERY", "HAIR", "LEASE", "WEIGHTS", "Call", "Fate", "Key", "Model"]

LEASE, ATTEMPTS, DELAY, EVERY = 20.0, 3, 1.5, 3.0
WEIGHTS = {"a": 2.0, "b": 0.5}
LEVELS = list(Priority)

#: Seconds by which moments of the model and of the server may differ.
HAIR = 0.001
#: For how long a run that is due gives way to `once_more`.
GIVES_WAY = 60.0

Fate: TypeAlias = str
"""As what a call has ended, or is to: ran, failed, cancelled, expired, replaced, or skipped; "" where that is open."""


@attrs.define(eq=False)
class Call:
    """One call, and what has become of it. Moments are seconds since the epoch."""

    number: int
    key: str
    level: Priority
    tenant: str | None
    """Whose turn it takes; None: it takes none."""
    when: float
    expires: float = math.inf
    seconds: float = 0.0
    """How long its body takes."""
    fails: int = 0
    """How many attempts raise."""
    runs: int = 1
    """How many runs are left; of more than one it is a chain."""
    task: str = "plain"
    state: str = "waits"
    """It "waits", runs on a worker that is "alive" or "dead", or is "over"."""
    fate: Fate = ""
    """Of a chain that of its first run."""
    heir: Call | None = None
    """The one that has taken its place."""
    is_parked: bool = False
    has_begun: bool = False
    """So it does not expire any more."""
    is_followed: bool = False
    """Whether it gives way to no other: it has begun, or is tried again."""
    is_moved: bool = False
    """Whether a death, a hand-back or a retry has taken it out of the order."""
    had_its_turn: bool = False
    """Whether it was handed back, or redelivered."""
    is_doomed: bool = False
    """Whether it is to end as it is delivered again."""
    is_read: bool = False
    """A worker had read it as it died, and had not claimed it yet."""
    queued: tuple[float, float] = (0.0, 0.0)
    since: float = 0.0
    """Since when it is due, as its record says."""
    taken: float = 0.0

    @property
    def row(self) -> tuple[Priority, str | None]:
        return self.level, self.tenant

    def told(self, start: float) -> str:
        """It in few words, its moments as seconds from ``start``."""
        return (
            f"{self.number} {self.key} {self.task} {self.tenant} {self.level.value} "
            f"when {self.when - start:.3f} expires {self.expires - start:.3f}"
        )

    @property
    def last(self) -> Call:
        """The call whose end is that of this one."""
        return self if self.heir is None else self.heir.last

    @property
    def outcome(self) -> object:
        """What whoever waits for it is told; None: anything."""
        last = self.last
        match last.fate:
            case "ran":
                return last.number
            case "failed":
                return ValueError, last.number
            case "expired":
                return ExecutionExpired
            case "cancelled":
                return ExecutionCancelled
            case _:
                return None

    def is_due(self, now: float) -> bool:
        return (
            self.state == "waits"
            and not self.is_parked
            and not self.is_read
            and (self.has_begun or self.expires > now + HAIR)
        )


@attrs.define(eq=False)
class Key:
    """What has a key of the docket, and what is to run once more after that."""

    now: Call | None = None
    following: Call | None = None


@attrs.define
class Passed:
    """How often others began while somebody had something to begin, since he did himself."""

    is_fair: Callable[[Hashable, Counter[Hashable]], bool]
    by: dict[Hashable, Counter[Hashable]] = attrs.field(factory=dict[Hashable, "Counter[Hashable]"])

    def begins(self, one: Hashable, waiting: Iterable[Hashable]) -> None:
        self.by = {each: self.by.get(each, Counter()) for each in {*waiting} - {one}}
        for each, others in self.by.items():
            others[one] += 1
            assert self.is_fair(each, others), f"{each} waits, and meanwhile there began {others}"


def _weight(tenant: object) -> float:
    return WEIGHTS.get(tenant, 1.0) if isinstance(tenant, str) else 1.0


@attrs.define
class Order:
    """Which of a row have begun: what begins at one moment may begin in any order, as the loop likes."""

    at: float = 0.0
    last: tuple[float, float] = (0.0, 0.0)
    latest: tuple[float, float] = (0.0, 0.0)

    def begins(self, call: Call, now: float, *, is_strict: bool) -> None:
        if is_strict or now > self.at + HAIR:
            self.last = self.latest
        assert call.queued >= self.last, f"{call} begins after a later one"
        self.at, self.latest = now, max(self.latest, call.queued)


@attrs.define
class Worker:
    """What is fair of one worker. It counts anew when it begins, but the turns are the server's."""

    places: int
    levels: Passed = attrs.field(init=False)
    halves: Passed = attrs.field(init=False)
    higher: dict[Priority, list[int]] = attrs.field(init=False, factory=dict[Priority, "list[int]"])

    def __attrs_post_init__(self) -> None:
        most = 20 + self.places
        self.levels = Passed(lambda _, others: others.total() <= most)
        self.halves = Passed(lambda _, others: others.total() <= 3 + 2 * self.places)

    def begins(self, call: Call, waiting: list[Call]) -> None:
        self.levels.begins(call.level, [each.level for each in waiting])
        self.halves.begins(
            (call.level, call.tenant is None),
            [(each.level, each.tenant is None) for each in waiting if each.level is call.level],
        )
        for at, level in enumerate(LEVELS):
            if not any(each.level is level for each in waiting):
                self.higher.pop(level, None)
                continue
            counted = self.higher.setdefault(level, [0, 0])
            counted[0] += 1
            counted[1] += LEVELS.index(call.level) > at
            below = len(LEVELS) - at - 1
            assert counted[1] <= below * (counted[0] / 20 + 2) + self.places, (
                f"{level} waits, and lower ones began"
            )


@attrs.define
class Model:
    """The docket, as it should be."""

    calls: dict[int, Call] = attrs.field(factory=dict[int, Call])
    keys: dict[str, Key] = attrs.field(factory=dict[str, Key])
    worker: Worker | None = None
    """The one that lives."""
    paused: set[str] = attrs.field(factory=set[str])
    """Tasks, or * for all."""
    runs: int = 0
    """How many bodies run."""
    _places: int = 1
    _rows: Passed = attrs.field(init=False)
    _orders: dict[tuple[Priority, str | None, str], Order] = attrs.field(
        init=False, factory=dict[tuple[Priority, "str | None", str], Order]
    )

    def __attrs_post_init__(self) -> None:
        def is_fair(one: Hashable, others: Counter[Hashable]) -> bool:
            _, tenant = one  # type: ignore[misc]
            return all(
                count <= math.ceil(_weight(other[1]) / _weight(tenant)) + 2 + self._places  # type: ignore[index]
                for other, count in others.items()
            )

        self._rows = Passed(is_fair)

    # time ------------------------------------------------------------------------------------------------

    def begins_work(self, places: int) -> None:
        """A worker begins."""
        self._places = max(self._places, places)
        now = clock.timestamp()
        self.worker = Worker(places)
        for call in self._waiting():
            if call.is_parked and call.since <= now:
                call.is_parked, call.queued = False, (now, call.since)
        self.tidy()

    def tidy(self) -> None:
        """What a worker does by itself has been done."""
        if self.worker is None:
            return
        now = clock.timestamp()
        for call in self._waiting():
            if call.is_parked and call.since <= now:
                call.is_parked, call.queued = False, (call.since, 0.0)
        for call in self._waiting():
            if not call.has_begun and call.expires <= now - HAIR:
                self.ends(call, "expired")

    def _waiting(self) -> list[Call]:
        return [key.now for key in self.keys.values() if key.now is not None and key.now.state == "waits"]

    def due(self) -> list[Call]:
        """What could begin at this moment."""
        if "*" in self.paused:
            return []
        now = clock.timestamp()
        return [call for call in self._waiting() if call.is_due(now) and call.task not in self.paused]

    # what is done to it ----------------------------------------------------------------------------------

    def _queue(self, call: Call, since: float) -> None:
        now = clock.timestamp()
        call.state, call.since, call.is_parked, call.queued = "waits", since, since > now, (now, 0.0)

    def _take_place(self, key: Key, call: Call) -> None:
        key.now = call
        if call.expires <= clock.timestamp():
            self.ends(call, "expired")

    def adds(self, call: Call, how: str) -> Disposition:
        """Add a call ("skip", "once_more" or "replace"); what is to be said of it."""
        now, key = clock.timestamp(), self.keys.setdefault(call.key, Key())
        self.calls[call.number] = call
        before, since = key.now, max(call.when, now)
        if how == "replace":
            if before is not None:
                if before.fate == "expired":  # its worker died before it could say so
                    before.fate = ""
                self._over(before, "replaced")
            self._drop(key)
        elif before is not None and how == "skip":
            self._over(call, "skipped")
            return Disposition.ALREADY_SCHEDULED
        elif before is not None:
            is_late = not before.is_parked and now - before.since >= GIVES_WAY
            if before.state != "waits" or before.is_followed or key.following is not None or is_late:
                if key.following is not None:
                    self._over(key.following, heir=call)
                call.since, key.following = since, call
                return Disposition.ONCE_MORE
            self._over(before, heir=call)
            since = before.since if call.when <= now or before.since >= call.when else since
        self._queue(call, since)
        self._take_place(key, call)
        return Disposition.EXPIRED if call.fate else Disposition.SCHEDULED

    def cancels(self, name: str) -> Cancellation | None:
        """Cancel what has a key; None: nothing has."""
        key = self.keys[name]
        call = key.now
        self._drop(key)
        if call is None:
            return None
        if call.state == "waits":
            self.ends(call, "cancelled")
            return Cancellation.CANCELLED
        call.is_doomed = True
        if call.fate == "expired":  # its worker died before it could say so
            call.fate = "cancelled"
        if call.state == "alive":
            self.ends(call, "cancelled")
        return Cancellation.REQUESTED

    def _drop(self, key: Key) -> bool:
        """What was to run once more will not; whether anything was."""
        dropped, key.following = key.following, None
        if dropped is not None:
            self._over(dropped, "cancelled")
        return dropped is not None

    def clears(self) -> int:
        count = 0
        for key in self.keys.values():
            count += self._drop(key)
            if key.now is not None and key.now.state == "waits":
                self.ends(key.now, "cancelled")
                count += 1
        return count

    def resumes(self, task: str) -> None:
        """What was lined up joins the end of its row."""
        self.paused.discard(task)
        for call in self._waiting():
            if call.task == task and not call.is_parked:
                call.is_moved = True

    # what happens ----------------------------------------------------------------------------------------

    def begins(self, number: int) -> Call:
        """A run begins on a worker that lives."""
        self.tidy()
        call, worker = self.calls[number], self.worker
        assert worker is not None
        self._find(call)
        if call.state == "dead":
            assert clock.timestamp() >= call.taken + LEASE - HAIR, (
                f"{call} begins, and its lease has not ended"
            )
            call.had_its_turn = call.is_moved = True
        else:
            assert call.task not in self.paused, f"{call} begins, and is paused"
        assert "*" not in self.paused, f"{call} begins, and all are paused"
        if not call.had_its_turn:
            worker.begins(call, self.due())
        self._begins(call, "alive")
        self.runs += 1
        return call

    def dies_with(self, call: Call, *, expired: bool) -> None:
        """A worker has taken it, and dies."""
        self.tidy()
        if expired:
            assert call.expires <= clock.timestamp() + HAIR
        self._begins(call, "dead")
        if expired:
            call.fate, call.is_doomed = "expired", True

    def _begins(self, call: Call, state: str) -> None:
        now = clock.timestamp()
        assert call.state in ("waits", "dead"), f"{call} begins"
        assert not call.is_doomed, f"{call} begins"
        if not call.has_begun and state == "alive":
            assert now <= call.expires + HAIR, f"{call} begins, and has expired"
        if not call.is_moved:
            order = self._orders.setdefault((*call.row, call.task), Order())
            is_strict = state == "dead" or (self.worker is not None and self.worker.places == 1)
            order.begins(call, now, is_strict=is_strict)
        if call.tenant is not None and not call.had_its_turn:
            rows = [each.row for each in self.due() if each.tenant is not None and each.level is call.level]
            self._rows.begins(call.row, rows)
        call.state, call.taken, call.has_begun, call.is_followed = state, now, True, True
        call.is_read = False
        if state == "dead":
            call.is_moved = True

    def _find(self, call: Call) -> None:
        """Note that it has its key, which was another's if that was to end unheard."""
        key = self.keys[call.key]
        if key.now is not call and key.now is not None and key.now.is_doomed:
            self.ends(key.now, "cancelled")
        assert key.now is call, f"{call} begins, and its key has {key.now}"

    def returns(self, call: Call) -> None:
        """A body has returned."""
        if call.state != "over":
            call.runs -= 1
            now = clock.timestamp()
            self.ends(call, "ran", max(call.taken + EVERY, now) if call.runs else None)

    def raises(self, call: Call, attempt: int) -> None:
        """A body has raised."""
        if call.state == "over":
            return
        if attempt < ATTEMPTS:
            call.is_moved, call.had_its_turn = True, False
            self._queue(call, clock.timestamp() + DELAY)
        else:
            self.ends(call, "failed")

    def stops(self, call: Call, attempt: int) -> None:
        """A body was stopped: its run is handed back, unless it is over."""
        if call.state != "over":
            call.is_moved = call.had_its_turn = True
            call.is_followed = attempt > 1
            self._queue(call, call.since)

    def was_lined_up(self, call: Call) -> None:
        """A dead worker had it, and it was to be delivered again while its task was paused."""
        call.is_moved, call.is_followed, call.state = True, False, "waits"
        call.is_parked = False

    def ends(self, call: Call, fate: Fate, next_at: float | None = None) -> None:
        """A call has ended for good; what is to run once more after it has its place."""
        key = self.keys[call.key]
        following, key.now, key.following = key.following, None, None
        if next_at is not None and following is None and fate == "ran":
            call.has_begun = call.is_followed = call.had_its_turn = False
            call.is_moved = True
            call.expires, call.fate = math.inf, fate
            self._queue(call, next_at)
            key.now = call
            return
        self._over(call, fate)
        if following is not None:
            self._queue(following, max(following.since, clock.timestamp()))
            key.now = following
            self.tidy()

    def _over(self, call: Call, fate: Fate = "", heir: Call | None = None) -> None:
        call.state = "over"
        if not call.fate:
            call.fate, call.heir = fate, heir
