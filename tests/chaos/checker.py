"""What is wrong with what happened: plain functions from the accounts of a session to its violations.

The promise: what was acknowledged reaches a final state, once; it runs at least once, and once more only where a
process died, handed it back, or was in trouble for so long that its lease may have run out.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from tests.chaos.accounts import Accounts, Ask, Run, covered
from tests.chaos.appendonly import Change
from tests.chaos.leftovers import Ending
from tests.chaos.tasks import parent_of

__all__ = [
    "Violation",
    "deaths",
    "double_placings",
    "early_runs",
    "orphans",
    "overlapping_runs",
    "paused_runs",
    "rewritten_ends",
    "unexplained_runs",
    "unkept_promises",
]

#: The part of a lease that passes at least without a renewal before it is lost. Renewals are a quarter apart, and
#: a body is stopped after nine tenths.
LOST_AFTER = 0.6

#: For how many seconds after the end of a body its process may have had no time to write that down.
SETTLING = 3.0

#: How many seconds a body may go on beside another run, right after its process was stopped or stalled: until it
#: has got a turn, and heard that it was overtaken.
CANCELLING = 0.5

#: For how many seconds after a pause a run may begin that was taken before.
TAKEN_BEFORE = 1.0

#: For how many seconds after the end of a parent its children may begin or go on, until they are asked to stop.
ORPHANED = 5.0

#: How exactly the wall clocks of one machine's processes agree, in seconds.
EXACTLY = 0.01


@attrs.frozen
class Violation:
    """What is wrong, and about which task; ``key`` is empty where it is about none."""

    key: str
    what: str


def _by_key(asks: Iterable[Ask]) -> dict[str, list[Ask]]:
    found: dict[str, list[Ask]] = defaultdict(list)
    for ask in asks:
        found[ask.key].append(ask)
    return found


def _spans(accounts: Accounts, names: Collection[str]) -> list[tuple[float, float]]:
    return [(trouble.since, trouble.until) for trouble in accounts.troubles if trouble.name in names]


def _placings(asks: Iterable[Ask]) -> int:
    """How often a call may have been placed: where the answer was lost, perhaps once more."""
    return sum(
        ask.op != "cancel"
        and (ask.how in ("lost", None) or (ask.how == "acknowledged" and ask.said == "scheduled"))
        for ask in asks
    )


# what became of it -----------------------------------------------------------------------------------------


def unkept_promises(accounts: Accounts, endings: Mapping[str, Ending]) -> Iterator[Violation]:
    """Each acknowledged task has ended as it had to, and each part of it has run."""
    ran: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for run in accounts.runs:
        ran[run.key].add((run.version, run.attempt))
    for key, asks in _by_key(accounts.asks).items():
        for ask in asks:
            if ask.how is None:
                yield Violation(key, f"{ask.op} was never answered")
        acknowledged = [ask for ask in asks if ask.how == "acknowledged"]
        if not any(ask.op == "add" for ask in acknowledged):
            continue
        ending = endings.get(key, Ending("missing"))
        wrong, missing = _judged(key, acknowledged, ending, ran[key], accounts)
        if wrong:
            yield Violation(key, f"{wrong}, but it is {ending}")
        for version, attempt in sorted(missing):
            yield Violation(key, f"has never run: version {version}, attempt {attempt}")


def _judged(
    key: str, asks: Sequence[Ask], ending: Ending, ran: set[tuple[int, int]], accounts: Accounts
) -> tuple[str, set[tuple[int, int]]]:
    """What its end should have been, if it is not that; and which runs are missing."""
    added = next(ask for ask in asks if ask.op == "add")
    kind, expected = added.kind, added.expected
    wanted: set[tuple[int, int]] = set()
    if kind == "returns":
        wanted = {(1, attempt) for attempt in range(1, expected.get("attempts", 1) + 1)}
        right = Ending("completed", expected["value"])
    elif kind == "fails":
        wanted = {(1, attempt) for attempt in range(1, expected["attempts"] + 1)}
        right = Ending("failed", "Deliberate")
    elif kind == "poison":
        wanted = {(1, attempt) for attempt in range(1, expected.get("attempts", 1) + 1)}
        right = _allowed(expected["ends"], ending)
    elif kind == "chain":
        wanted = {(version, 1) for version in range(1, expected["value"] + 1)}
        right = Ending("completed", expected["value"])
    elif kind == "replaced":
        last = max(ask.version for ask in asks)
        wanted, right = {(last, 1)}, Ending("completed", last)
    elif kind == "endless":
        wanted = {(version, 1) for version in range(1, max((version for version, _ in ran), default=0) + 1)}
        right = Ending("cancelled")
    elif ending.state == "completed" and (
        kind == "stoppable" or (kind == "cancelled" and not _in_time(asks, accounts))
    ):
        wanted, right = {(1, 1)}, Ending("completed", expected["value"])
    else:
        right = Ending("cancelled")
        if ran and kind == "cancelled" and _in_time(asks, accounts):
            return "it ran, though it was cancelled before it was due", set()
    return "" if ending == right else f"should be {right}", wanted - ran


def _allowed(ends: Mapping[str, Any], ending: Ending) -> Ending:
    """The ending itself, if it is among those that a poison may come to; else the first one of these."""
    for state, values in ends.items():
        if ending.state == state and ending.value in (values if isinstance(values, list) else [values]):
            return ending
    state, values = next(iter(ends.items()))
    return Ending(state, values)


def _in_time(asks: Iterable[Ask], accounts: Accounts) -> bool:
    """Whether the cancellation was acknowledged before the task was due."""
    cancelled = min((ask.answered for ask in asks if ask.op == "cancel"), default=math.inf)
    due = min(ask.wall for ask in asks if ask.op == "add") - accounts.wall_offset
    return cancelled < due


def rewritten_ends(histories: Mapping[str, Sequence[Change]]) -> Iterator[Violation]:
    """No generation of a key gets two ends, or goes on after its end."""
    for key, changes in histories.items():
        ended: dict[int, Change] = {}
        for change in changes:
            if (before := ended.get(change.generation)) is not None:
                yield Violation(key, f"generation {change.generation} was {before.state}, then {change}")
            if change.is_final:
                ended[change.generation] = change


# how often it ran ------------------------------------------------------------------------------------------


def unexplained_runs(
    accounts: Accounts, lease: float, *, forgetful: Collection[str] = ()
) -> Iterator[Violation]:
    """Nothing runs more often than it was placed, unless a fault explains each further run.

    Faults that are ``forgetful`` make the server forget what was written just before: a run that they meet may
    begin anew at once. A child is placed by each run of its parent: as often as the first of its family was.
    """
    forgotten = _spans(accounts, forgetful)
    asks = _by_key(accounts.asks)
    units: dict[tuple[str, int, int], list[Run]] = defaultdict(list)
    for run in accounts.runs:
        units[run.unit].append(run)
    for (key, version, attempt), runs in units.items():
        asked = asks[key] or asks[key.partition("/")[0]]
        of_version = [ask for ask in asked if ask.version == version] or asked
        placed = max(1, _placings(of_version))
        if len(runs) <= placed:
            continue
        runs = _in_order_of_claims(runs)
        following = [run.begin for run in runs[1:]]
        excused = [
            run
            for run, until in zip(runs, following, strict=False)
            if covered(forgotten, run.begin, until) or _is_excused(run, until, accounts, lease)
        ]
        if len(runs) - len(excused) > placed:
            times = ", ".join(f"{run.begin:.3f}-{run.end:.3f} {run.how} in {run.pid}" for run in runs)
            yield Violation(
                key,
                f"version {version}, attempt {attempt} ran {len(runs)} times, placed {placed} times, "
                f"of which faults explain {len(excused)}: {times}",
            )


def _in_order_of_claims(runs: Iterable[Run]) -> list[Run]:
    """Runs in the order in which they were claimed.

    That is the one in which they began, but for a process that fell asleep between the claim and the begin.
    """
    messages: dict[str, float] = {}
    for run in runs:
        messages[run.message] = min(messages.get(run.message, math.inf), run.begin)
    return sorted(runs, key=lambda run: (messages[run.message], run.redelivered, run.begin))


def _is_excused(run: Run, until: float, accounts: Accounts, lease: float) -> bool:
    """Whether another run, which began at ``until``, may have followed this one."""
    process = accounts.processes.get(run.pid)
    if process is not None:
        over = [*process.got("SIGKILL"), process.ended]
        if any(run.begin <= at <= until and at - min(run.end, at) <= SETTLING for at in over):
            return True
        if run.how == "cancelled" and any(at <= run.end for at in process.got("SIGTERM")):
            return True  # handed back
    troubles = accounts.troubles_of(run.pid)
    return covered(troubles, min(run.begin, until) - lease, until) >= LOST_AFTER * lease


def double_placings(accounts: Accounts) -> Iterator[Violation]:
    """A key that is scheduled, queued or running is left as it is by whoever adds the same once more."""
    ended: dict[str, float] = {}
    for run in accounts.runs:
        ended[run.key] = min(ended.get(run.key, math.inf), run.end)
    for key, asks in _by_key(accounts.asks).items():
        added = [ask for ask in asks if ask.op == "add" and ask.said == "scheduled"]
        versions = Counter(ask.version for ask in added if ask.answered < ended.get(key, math.inf))
        times = max(versions.values(), default=0)
        if times > 1 and not any(ask.op == "cancel" for ask in asks):
            yield Violation(key, f"was placed {times} times before its first run had ended")


def early_runs(accounts: Accounts) -> Iterator[Violation]:
    """Nothing runs before it is due."""
    due: dict[tuple[str, int], float] = {}
    for ask in accounts.asks:
        if ask.op != "cancel":
            at = ask.key, ask.version
            due[at] = min(due.get(at, math.inf), ask.wall)
    for run in accounts.runs:
        early = due.get((run.key, run.version), -math.inf) - run.wall
        if early > EXACTLY:
            yield Violation(run.key, f"version {run.version} ran {early:.3f} s before it was due")


def paused_runs(accounts: Accounts) -> Iterator[Violation]:
    """Nothing begins while it is paused, but what was taken before, by a process that is in no trouble."""
    for pause in accounts.pauses:
        for run in accounts.runs:
            if pause.task in ("*", run.task) and pause.since + TAKEN_BEFORE < run.begin < pause.until:
                late = (
                    run.begin - pause.since - covered(accounts.troubles_of(run.pid), pause.since, run.begin)
                )
                if late > TAKEN_BEFORE:
                    yield Violation(
                        run.key, f"began {run.begin - pause.since:.3f} s after {pause.task} was paused"
                    )


def orphans(accounts: Accounts) -> Iterator[Violation]:
    """Nobody outlives its parent by more than a moment, and the time in which some process was in trouble."""
    over: dict[str, float] = {}
    for run in accounts.runs:
        over[run.key] = max(over.get(run.key, 0.0), _ended(run, accounts))
    for ask in accounts.asks:
        if ask.op == "cancel" and ask.key in over:
            over[ask.key] = max(over[ask.key], ask.answered)  # until then it may wait, and they may run
    for run in accounts.runs:
        since, until = over.get(parent_of(run.key)), _ended(run, accounts)
        if since is None or until - since <= ORPHANED:
            continue
        alone = (
            until - since - covered([(each.since, each.until) for each in accounts.troubles], since, until)
        )
        if alone > ORPHANED:
            yield Violation(
                run.key, f"outlived its parent by {until - since:.3f} s, {alone:.3f} s out of trouble"
            )


def _ended(run: Run, accounts: Accounts) -> float:
    """When a run was over, also where its process died in it."""
    process = accounts.processes.get(run.pid)
    return run.end if process is None else min(run.end, process.ended, *process.got("SIGKILL"))


def overlapping_runs(accounts: Accounts, *, forgetful: Collection[str] = ()) -> Iterator[Violation]:
    """Of what is limited to one at a time, there is one at a time; a process that is stopped does not run.

    Faults that are ``forgetful`` make the server forget who is running: who is admitted soon after one is excused.
    """
    forgotten = _spans(accounts, forgetful)
    runs: dict[str, list[Run]] = defaultdict(list)
    for run in accounts.runs:
        if run.customer is not None:
            runs[run.customer].append(attrs.evolve(run, end=_ended(run, accounts)))
    for customer, theirs in runs.items():
        theirs.sort(key=lambda run: run.begin)
        for at, one in enumerate(theirs):
            for other in theirs[at + 1 :]:
                if other.begin >= one.end:
                    break
                if covered(forgotten, one.begin, other.begin):
                    continue
                asleep = accounts.troubles_of(one.pid, "stopped", "stall")
                asleep = [span for span in asleep if span[0] < one.end and span[1] > one.begin]
                together = min(one.end, other.end) - other.begin
                together -= covered(asleep, other.begin, min(one.end, other.end))
                if together > (CANCELLING if asleep else 0.0):
                    what = f"ran beside {other.key} for {together:.3f} s, both of {customer}"
                    yield Violation(one.key, what)


# how the processes fared -----------------------------------------------------------------------------------


def deaths(accounts: Accounts) -> Iterator[Violation]:
    """No process ends by itself, with an error, or not at all; no body ends in a way that is not its own."""
    began = {run.pid for run in accounts.runs}
    for process in accounts.processes.values():
        if not process.has_ended:
            continue
        if process.code == -9 and process.got("SIGKILL"):
            continue
        terminated = len(process.got("SIGTERM"))
        if process.code == -15 and terminated and (terminated > 1 or process.pid not in began):
            continue  # it had not come to heeding signals yet, or had already drained
        if process.code != 0:
            said = "did not end" if process.code is None else f"ended with {process.code}"
            yield Violation("", f"process {process.pid} in slot {process.slot} {said}")
        elif process.slot is not None and not process.got("SIGTERM"):
            yield Violation("", f"process {process.pid} in slot {process.slot} ended by itself")
    for run in accounts.runs:
        if run.how not in (None, "returned", "raised", "cancelled"):
            yield Violation(run.key, f"its body ended with {run.how}")
