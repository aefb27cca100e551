"""The same operations by pydocket and by ours, and what each leaves on the server, byte by byte."""

from __future__ import annotations

import base64
import json
import pickle
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.where import one_loop

from .sides import Side, from_now
from .table import Table
from .wire import Recorder, flat

pytestmark = pytest.mark.anyio

PAST, FUTURE, LATER = (
    "2020-02-03T04:05:06.789012+02:00",
    "2099-01-01T00:00:00+00:00",
    "2099-05-01T12:00:00.250001+00:00",
)
Step = Callable[[Table, Side], Awaitable[Any]]


def add(function: str, *args: Any, key: str, when: str, **kwargs: Any) -> Step:
    return lambda table, side: side.add(function, *args, key=key, when=when, **kwargs)


def replace(function: str, *args: Any, key: str, when: str) -> Step:
    return lambda table, side: side.replace(function, *args, key=key, when=when)


def cancel(key: str) -> Step:
    return lambda table, side: side.cancel(key)


def clear(table: Table, side: Side) -> Awaitable[Any]:
    return side.clear()


def drain(table: Table, side: Side) -> Awaitable[Any]:
    return side.drain("w")


def work(table: Table, side: Side) -> Awaitable[Any]:
    return side.start_worker("w")


def work_slowly(table: Table, side: Side) -> Awaitable[Any]:
    return side.start_worker("w", concurrency=1)


async def moved(table: Table, side: Side) -> None:
    """Have a scheduler move a task that nobody has the time to run."""
    await side.add("echo", 1, key="k", when=from_now(0.1))
    await table.reaches("k", "queued")


def leave(table: Table, side: Side) -> Awaitable[Any]:
    return side.stop_worker("w")


def finish(key: str) -> Step:
    """Release what runs, and wait until it has ended."""

    async def step(table: Table, side: Side) -> None:
        table.release()
        await table.reaches(key, "completed")

    return step


def begin(key: str) -> Step:
    """Add a task that goes on until it is released, and wait until the worker has it."""

    async def step(table: Table, side: Side) -> None:
        await side.add("hold", key=key, when=PAST)
        await table.begun(key)

    return step


def stop(key: str) -> Step:
    """Cancel a task that runs, and wait until it has ended."""

    async def step(table: Table, side: Side) -> None:
        await side.cancel(key)
        await table.reaches(key, "cancelled")

    return step


SEQUENCES: dict[str, list[Step]] = {
    "immediate": [add("echo", 3, key="k", when=PAST)],
    "future": [add("echo", 3, key="k", when=FUTURE)],
    "fractions of a second": [add("echo", 3, key="k", when=LATER)],
    "arguments": [add("describe", 1, "zwei", [3.5, None], b=True, key="a key: ü", when=FUTURE)],
    "the key exists": [add("echo", 1, key="k", when=FUTURE), add("echo", 2, key="k", when=PAST)],
    "replaced by another future": [add("echo", 1, key="k", when=FUTURE), replace("echo", 2, key="k", when=LATER)],
    "future replaced by immediate": [add("echo", 1, key="k", when=FUTURE), replace("echo", 2, key="k", when=PAST)],
    "immediate replaced by future": [add("echo", 1, key="k", when=PAST), replace("echo", 2, key="k", when=FUTURE)],
    "replaced, where nothing was": [replace("echo", 2, key="k", when=FUTURE)],
    "cancelled while queued": [add("echo", 1, key="k", when=PAST), cancel("k")],
    "cancelled while scheduled": [add("echo", 1, key="k", when=FUTURE), cancel("k")],
    "cancelled and added again": [
        add("echo", 1, key="k", when=FUTURE), cancel("k"), add("echo", 2, key="k", when=PAST),
    ],
    "completed with a result": [add("echo", {"a": [1, "ü"]}, key="k", when=PAST), drain],
    "completed without a result": [add("echo", key="k", when=PAST), drain],
    "failed": [add("fail", 'no "x"\nü', key="k", when=PAST), drain],
    "failed after retries": [add("flaky", key="k", when=PAST), drain],
    "completed and added again": [
        add("fail", "x", key="k", when=PAST), drain, add("echo", 2, key="k", when=FUTURE),
    ],
    "completed and cancelled": [add("echo", 1, key="k", when=PAST), drain, cancel("k")],
    "moved when it was due": [work_slowly, begin("busy"), moved],
    "a key that needs escaping": [add("echo", 1, key='"\\\n\tü', when=PAST), drain],
    "running": [work, begin("k")],
    "finished by a worker that leaves": [
        work, begin("k"), finish("k"), leave,
    ],
    "cancelled while running": [work, begin("k"), stop("k"), leave],
    "replaced while running": [work, begin("k"), replace("echo", 1, key="k", when=FUTURE)],
    "cleared": [add("echo", 1, key="a", when=PAST), add("echo", 2, key="b", when=FUTURE), clear],
}  # fmt: skip


#: What differs on purpose: patterns of a sequence and of lines (see `wire.flat`) that only one side has, or whose
#: value differs, and why.
DIFFERENCES = {
    (
        ".*",
        r"<docket>:ops:.*",
    ): "what is kept for operators; pydocket does not look there",
    (
        ".*",
        r"<docket>:leases:task-groups( ttl)?",
    ): "which worker looks for task groups whose parents are gone; pydocket has none",
    (
        ".*",
        r"events of <docket>:wake",
    ): "ours tells its workers what to look at instead of having them poll; pydocket does not listen",
    (
        ".*",
        r"<docket>:leases:task-groups.*",
    ): "one worker of the fleet looks after task groups; pydocket has none",
    (
        ".*",
        r"<docket>:runs:.* \.claim",
    ): "the fence of a claim (I2); pydocket ignores fields that it does not know",
    (
        ".*",
        r"<docket>:runs:.* \.asked",
    ): "which question brought it, in case the answer is lost",
    (
        ".*",
        r"<docket>:runs:.* \.cancel_requested",
    ): "for a worker that hears of a cancellation before its claim",
    (
        ".*",
        r"<docket>:worker-tasks:w ttl",
    ): "an hour, as that of the lists of a task's workers: it outlives the worker, and readers go by the scores",
    (
        "moved when it was due|.*running|finished by a worker that leaves",
        r"<docket>:progress:(k|busy) (ttl|\.current|\.total|\.generation)",
    ): "0 of 100, before the run has reported anything: ours keeps what was reported (test_progress.py)",
    (
        "failed after retries",
        r"<docket>:runs:k \.(attempt|tried)",
    ): "which attempt it was, and how the one before it failed, for who looks; pydocket lets both fields stand",
    (
        "failed.*|completed and added again",
        r"<docket>:runs:k \.noted",
    ): "that a failure is kept, for a success to clear; pydocket ignores fields that it does not know",
    (
        "moved when it was due",
        r"<docket>:runs:k \.stream_id",
    ): "pydocket does not note it; ours can then remove it",
    ("immediate replaced by future", r"<docket>:runs:k \.stream_id"): (
        "pydocket keeps the id of the stream entry that it has removed"
    ),
}


def differences(sequence: str, seen: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """Lines that are not the same on both sides, without those that are meant to differ."""
    found = {}
    for line in sorted({*seen["ours"], *seen["pydocket"]}):
        theirs, ours = (seen[side].get(line, "absent") for side in ("pydocket", "ours"))
        meant = any(
            re.fullmatch(where, sequence) and re.fullmatch(what, line, re.DOTALL)
            for where, what in DIFFERENCES
        )
        if theirs != ours and not meant and not (":results:" in line and but_for_a_note(theirs, ours)):
            found[line] = theirs, ours
    return found


def but_for_a_note(theirs: Any, ours: Any) -> bool:
    """Whether both are results that hold the same exception, to which ours has added the worker's traceback."""
    if not (isinstance(theirs, bytes) and isinstance(ours, bytes)):
        return False
    stored = json.loads(ours)
    error = pickle.loads(base64.b64decode(stored["value"]["data"]))
    if not isinstance(error, Exception) or vars(error).keys() != {"__notes__"}:
        return False
    bare = pickle.dumps(type(error)(*error.args), 5)
    stored["value"]["data"] = base64.b64encode(bare).decode()
    (note,) = error.__notes__
    return stored == json.loads(theirs) and "Traceback (most recent call last)" in note


@one_loop  # what is written does not depend on the loop
@pytest.mark.parametrize("name", SEQUENCES)
async def test_ours_leaves_what_pydocket_leaves(twins: dict[str, Table], name: str) -> None:
    recorders = {side: Recorder(table.redis, table.name) for side, table in twins.items()}
    for number, step in enumerate(SEQUENCES[name]):
        seen = {}
        for which, table in twins.items():
            await step(table, table.side(which))
            seen[which] = flat(recorders[which].keys(), recorders[which].events())
        assert differences(name, seen) == {}, f"after step {number}"
