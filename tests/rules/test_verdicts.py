"""From how a run ended to what is written about it, as a table; docs/design.md shows the same one.

``python -m tests.rules.test_verdicts`` prints it.
"""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from docket.errors import UsageError
from docket.rules import (
    FINAL,
    Abandon,
    AwaitSlot,
    AwaitTurn,
    Blocked,
    Cancel,
    Complete,
    Defer,
    Drop,
    ExecutionState,
    Expired,
    Fail,
    HandBack,
    Outcome,
    PassOn,
    Raised,
    Reschedule,
    Returned,
    Spent,
    Stopped,
    StopReason,
    Struck,
    Verdict,
    decide,
    decide_last,
)

ERROR, MOMENT = ValueError("no"), datetime(2026, 1, 1, tzinfo=UTC)
NEXT = Reschedule(MOMENT, attempt=2)
PUT_OFF = Defer(timedelta(seconds=5))
SLOT, TURN = AwaitSlot("limit"), AwaitTurn("tenant:acme")
LATER, NEVER = Defer(timedelta(1)), Drop("rule")
ELSEWHERE = PassOn(timedelta(1), times=1, waited=timedelta(1), deliveries=0)

#: What happens to a claim, the outcome that this makes, its verdict, and whether a next run may take its place.
TABLE: list[tuple[str, Outcome, Verdict, bool]] = [
    ("a strike forbids it", Struck(), Cancel(), False),
    ("its key has run as often as `run_at_most` allows", Spent(), Cancel(), False),
    ("it had not begun by the moment that its caller gave", Expired(MOMENT), Cancel(), True),
    ("its task is unknown here", Blocked(ELSEWHERE), ELSEWHERE, False),
    ("its turn is still to come, which whoever added it did not know", Blocked(TURN), TURN, False),
    ("a concurrency limit is full", Blocked(SLOT), SLOT, False),
    ('a rate is exceeded, or a dependency says "not now"', Blocked(LATER), LATER, False),
    ("admission drops it", Blocked(NEVER), NEVER, True),
    ("it was cancelled before it was admitted", Blocked(Cancel()), Cancel(), False),
    ("another worker took it over before it was admitted", Blocked(Abandon()), Abandon(), False),
    ("the body returns", Returned(7), Complete(7), True),
    ("the body raises, or something around it does", Raised(ERROR), Fail(ERROR), True),
    ("`docket.cancel(key)`; the body cancels its own task", Stopped(StopReason.ASKED), Cancel(), False),
    (
        "the deadline of the drain passes, or in a drain it only waits",
        Stopped(StopReason.DRAIN),
        HandBack(),
        False,
    ),
    (
        "it is to wait for other tasks, and as many do here as may",
        Stopped(StopReason.PUT_OFF),
        PUT_OFF,
        False,
    ),
    ("its lease is lost: not renewed in time, or taken over", Stopped(StopReason.LOST), Abandon(), False),
]

ENTRY = {
    HandBack: "replaced by a fresh one, in one script",
    Abandon: "untouched",
}

HEADER = """\
| what happens to a claim | outcome | verdict | written | the stream entry |
|---|---|---|---|---|"""


def named(value: Outcome | Verdict) -> str:
    detail = ""
    if isinstance(value, Stopped):
        detail = f"({value.reason.name})"
    elif isinstance(value, Blocked):
        detail = f"({type(value.verdict).__name__})"
    return f"`{type(value).__name__}{detail}`"


def written(verdict: Verdict) -> str:
    return (inspect.getdoc(verdict) or "").partition("\n")[0]


def row(happens: str, outcome: Outcome) -> str:
    verdict, following = decide(outcome), decide(outcome, NEXT)
    verdicts, texts = named(verdict), written(verdict)
    if following is NEXT:
        verdicts, texts = f"{verdicts} or {named(NEXT)}", f"{texts}; or {written(NEXT)}"
    return (
        f"| {happens} | {named(outcome)} | {verdicts} | {texts} | {ENTRY.get(type(verdict), 'XACK + XDEL')} |"
    )


def drawing() -> str:
    """The table as docs/design.md shows it."""
    return "\n".join([HEADER, *(row(happens, outcome) for happens, outcome, *_ in TABLE)])


@pytest.mark.parametrize(("outcome", "verdict"), [row[1:3] for row in TABLE], ids=repr)
def test_the_table_of_outcomes(outcome: Outcome, verdict: Verdict) -> None:
    assert decide(outcome) == verdict


@pytest.mark.parametrize(("outcome", "may_follow"), [(row[1], row[3]) for row in TABLE], ids=repr)
def test_a_next_run_follows_what_has_come_to_its_end(outcome: Outcome, may_follow: bool) -> None:
    assert (decide(outcome, NEXT) is NEXT) is may_follow


def test_every_outcome_reason_and_verdict_has_a_row() -> None:
    assert {type(outcome) for _, outcome, *_ in TABLE} == set(get_args(Outcome))
    assert {outcome.reason for _, outcome, *_ in TABLE if isinstance(outcome, Stopped)} == set(StopReason)
    assert {type(verdict) for _, _, verdict, _ in TABLE} | {Reschedule} == set(get_args(Verdict))


def test_the_design_shows_this_table() -> None:
    design = Path(__file__).parents[2] / "docs" / "design.md"
    assert drawing() in design.read_text(), f"replace the table in {design.name} by this one:\n\n{drawing()}"


def test_a_next_run_has_a_moment_that_everybody_reads_alike() -> None:
    with pytest.raises(UsageError, match="when=2026-01-01T00:00:00 has no time zone"):
        Reschedule(datetime(2026, 1, 1), 1)
    with pytest.raises(TypeError, match="when= takes an aware datetime, not str"):
        Reschedule("soon", 1)  # type: ignore[arg-type]


def test_the_final_states_are_those_that_nothing_follows() -> None:
    assert set(ExecutionState) - FINAL == {
        ExecutionState.SCHEDULED,
        ExecutionState.QUEUED,
        ExecutionState.RUNNING,
    }


def test_what_was_to_be_tried_again_is_cancelled_where_nothing_may_follow() -> None:
    assert decide_last(Raised(ERROR), NEXT, 1) == Cancel()
    assert decide_last(Raised(ERROR), NEXT, 2) == decide_last(Raised(ERROR), None, 2) == Fail(ERROR)
    assert decide_last(Returned(7), NEXT, 1) == Complete(7)
    assert decide_last(Blocked(NEVER), NEXT, 1) == NEVER


if __name__ == "__main__":
    print(drawing())
