"""The checker finds each kind of violation in ledgers that are made up, and none where a fault explains it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.chaos import checker
from tests.chaos.accounts import Accounts, covered
from tests.chaos.appendonly import Change
from tests.chaos.ledger import Entry
from tests.chaos.leftovers import Ending

LEASE = 2.0
DONE = Ending("completed", 7)

A, B = 11, 12
"""Two worker processes, in the slots 0 and 1; everything is about the task "k" unless it says otherwise."""

WALL = 1000.0


def line(at: float, what: str, pid: int = 1, **facts: Any) -> Entry:
    return {"at": at, "what": what, "pid": pid, **facts}


def added(
    at: float = 1, how: str | None = "acknowledged", *, key: str = "k", call: int = 0, **more: Any
) -> list[Entry]:
    facts = {"op": "add", "kind": "returns", "version": 1, "wall": WALL + at, "value": 7, **more}
    said = facts.pop("said", "scheduled")
    asked = [line(at, "ask", call=call, key=key, **facts)]
    return asked if how is None else [*asked, line(at + 0.01, "answer", call=call, how=how, said=said)]


def ran(
    begin: float, end: float | None, pid: int = A, how: str = "returned", *, key: str = "k", **more: Any
) -> list[Entry]:
    facts = {"version": 1, "attempt": 1, "wall": WALL + begin, **more}
    run = hash((begin, pid, key))
    began = [line(begin, "begin", pid, run=run, key=key, **facts)]
    return began if end is None else [*began, line(end, "end", pid, run=run, how=how)]


def fault(since: float, until: float, slots: list[int] | None = None) -> Entry:
    return line(until, "fault", name="cut", since=since, until=until, after=0.5, slots=slots)


def signalled(at: float, name: str, pid: int = A) -> Entry:
    return line(at, "signal", of=pid, slot=0, signal=name)


def accounts(*lines: Entry | list[Entry]) -> Accounts:
    entries = [line(0, "started", of=A, slot=0), line(0, "started", of=B, slot=1)]
    for each in lines:
        entries += each if isinstance(each, list) else [each]
    return Accounts.of(sorted(entries, key=lambda entry: entry["at"]))


def unkept(these: Accounts, endings: Mapping[str, Ending]) -> list[str]:
    return [violation.what for violation in checker.unkept_promises(these, endings)]


def unexplained(*lines: Entry | list[Entry]) -> bool:
    return bool(list(checker.unexplained_runs(accounts(*lines), LEASE)))


# what became of it -----------------------------------------------------------------------------------------


def test_what_was_added_ran_and_ended_is_in_order() -> None:
    assert unkept(accounts(added(), ran(2, 3)), {"k": DONE}) == []


WRONG = [Ending("missing"), Ending("running"), Ending("cancelled"), Ending("completed", 8)]


@pytest.mark.parametrize("ending", WRONG)
def test_a_wrong_end_is_found(ending: Ending) -> None:
    (said,) = unkept(accounts(added(), ran(2, 3)), {"k": ending})
    assert "should be" in said


def test_a_task_without_a_run_is_found() -> None:
    assert "never run" in unkept(accounts(added()), {"k": DONE})[0]


def test_a_missing_attempt_is_found() -> None:
    these = accounts(added(attempts=2), ran(2, 3, attempt=2))
    assert unkept(these, {"k": DONE}) == ["has never run: version 1, attempt 1"]


def test_a_missing_link_of_a_chain_is_found() -> None:
    these = accounts(added(kind="chain", value=3), ran(2, 3), ran(4, 5, version=3))
    assert unkept(these, {"k": Ending("completed", 3)}) == ["has never run: version 2, attempt 1"]


def test_of_what_was_not_acknowledged_nothing_is_promised() -> None:
    assert unkept(accounts(added(how="lost")), {}) == []


def test_an_ask_without_an_answer_is_found() -> None:
    assert unkept(accounts(added(how=None)), {}) == ["add was never answered"]


def cancelled(at: float, how: str = "acknowledged") -> list[Entry]:
    return added(at, how, call=1, op="cancel", kind="cancelled", version=0, said="")


def test_a_run_of_what_was_cancelled_in_time_is_found() -> None:
    due_at_5 = added(kind="cancelled", wall=WALL + 5)
    ended = {"k": Ending("cancelled")}
    other = ran(2, 3, key="other")  # by which the clocks are compared
    assert unkept(accounts(due_at_5, cancelled(2), other), ended) == []
    assert "it ran" in unkept(accounts(due_at_5, cancelled(2), ran(5, 6)), ended)[0]
    assert unkept(accounts(due_at_5, cancelled(6), ran(5, 5.5)), {"k": DONE}) == []
    assert unkept(accounts(due_at_5, cancelled(2), other), {"k": DONE}) != []


def test_what_was_cancelled_while_it_ran_has_to_be_cancelled() -> None:
    these = accounts(added(kind="stopped"), cancelled(2), ran(1.5, 2.5, how="cancelled"))
    assert unkept(these, {"k": Ending("cancelled")}) == []
    assert unkept(these, {"k": DONE}) != []


def test_the_last_version_is_the_one_that_counts() -> None:
    these = accounts(
        added(kind="replaced"), added(2, call=1, op="replace", kind="replaced", version=2), ran(3, 4)
    )
    assert len(unkept(these, {"k": Ending("completed", 1)})) == 2, "the wrong end, and version 2 has not run"


def poisoned(ending: Ending) -> list[str]:
    ends = {"failed": ["SystemExit", "ExecutionFailed"], "cancelled": None}
    return unkept(accounts(added(kind="poison", ends=ends), ran(2, 3)), {"k": ending})


@pytest.mark.parametrize(
    "ending", [Ending("failed", "SystemExit"), Ending("failed", "ExecutionFailed"), Ending("cancelled")]
)
def test_poison_may_come_to_each_of_its_ends(ending: Ending) -> None:
    assert poisoned(ending) == []


@pytest.mark.parametrize("ending", [Ending("failed", "ValueError"), Ending("completed"), Ending("missing")])
def test_poison_may_come_to_no_other_end(ending: Ending) -> None:
    [what] = poisoned(ending)
    assert "should be" in what


# two ends --------------------------------------------------------------------------------------------------


def change(state: str, generation: int = 1) -> Change:
    return Change(0, generation, state, "", "")


def test_a_second_end_of_one_generation_is_found() -> None:
    once = [change("queued"), change("running"), change("completed")]
    assert list(checker.rewritten_ends({"k": [*once, change("queued", 2), change("failed", 2)]})) == []
    assert list(checker.rewritten_ends({"k": [*once, change("completed")]})) != []
    assert list(checker.rewritten_ends({"k": [*once, change("running")]})) != []


# how often it ran ------------------------------------------------------------------------------------------


def test_one_run_needs_no_explanation() -> None:
    assert not unexplained(added(), ran(2, 3))


def test_a_second_run_without_a_fault_is_found() -> None:
    assert unexplained(added(), ran(2, 3), ran(4, 5, B))


def test_a_second_run_may_follow_the_kill_of_the_first_ones_process() -> None:
    assert not unexplained(added(), ran(2, None), signalled(3, "SIGKILL"), ran(6, 7, B))
    assert not unexplained(added(), ran(2, 3), signalled(3.1, "SIGKILL"), ran(6, 7, B))


def test_a_kill_long_after_the_first_run_explains_nothing() -> None:
    assert unexplained(added(), ran(2, 3), signalled(30, "SIGKILL"), ran(40, 41, B))


def test_the_kill_of_another_process_explains_nothing() -> None:
    assert unexplained(added(), ran(2, 3), signalled(3.1, "SIGKILL", B), ran(6, 7, B))


def test_one_kill_explains_one_further_run() -> None:
    kill = signalled(3, "SIGKILL")
    assert unexplained(added(), ran(2, None), kill, ran(6, 7, B), ran(8, 9, B))


def test_what_was_handed_back_may_run_again() -> None:
    assert not unexplained(added(), signalled(3, "SIGTERM"), ran(2, 4, how="cancelled"), ran(4.1, 5, B))


def test_what_had_returned_was_not_handed_back() -> None:
    assert unexplained(added(), signalled(3, "SIGTERM"), ran(2, 4), ran(4.1, 5, B))


def test_an_outage_that_outlasts_a_lease_explains_a_further_run() -> None:
    assert not unexplained(added(), ran(2, 6), fault(2.5, 4.5), ran(5, 7, B))
    assert not unexplained(added(), ran(2, 6), fault(2.5, 4.5, [0]), ran(5, 7, B))


def test_an_outage_that_is_too_short_or_of_others_or_later_explains_nothing() -> None:
    assert unexplained(added(), ran(2, 6), fault(2.5, 2.6), ran(5, 7, B))
    assert unexplained(added(), ran(2, 6), fault(2.5, 4.5, [1]), ran(5, 7, B))
    assert unexplained(added(), ran(2, 3), fault(5.5, 7.5), ran(5, 7, B))


def test_a_server_that_forgets_explains_what_begins_anew_at_once() -> None:
    def found(since: float) -> bool:
        these = accounts(added(), ran(2, 3), fault(since, since + 0.1), ran(3.5, 4, B))
        return bool(list(checker.unexplained_runs(these, LEASE, forgetful={"cut"})))

    assert not found(3.1)
    assert found(4)
    assert unexplained(added(), ran(2, 3), fault(3.1, 3.2), ran(3.5, 4, B)), "another one forgets nothing"


def test_a_stopped_process_explains_a_further_run() -> None:
    stop = [signalled(2.5, "SIGSTOP"), signalled(5, "SIGCONT")]
    assert not unexplained(added(), ran(2, 5.1), stop, ran(4.6, 5, B))
    assert unexplained(added(), ran(2, 5.1, B), stop, ran(4.6, 5, B))


def test_a_process_that_was_stopped_between_its_claim_and_the_begin_explains_the_run_before() -> None:
    stop = [signalled(2.5, "SIGSTOP"), signalled(6, "SIGCONT")]
    taken_over = ran(4.6, 5, B, message="1-0", redelivered=True)
    assert not unexplained(added(), stop, taken_over, ran(6.1, 7, message="1-0"))
    assert unexplained(added(), stop, taken_over, ran(6.1, 7, message="2-0")), "not the same delivery"
    assert unexplained(
        added(), stop, ran(4.6, 5, B, message="1-0"), ran(6.1, 7, message="1-0", redelivered=True)
    )
    assert unexplained(added(), taken_over, ran(6.1, 7, message="1-0")), "nobody slept"


def test_the_children_run_as_often_as_the_first_of_their_family_was_placed() -> None:
    child = [*ran(2, 3, key="k/0/1"), *ran(4, 5, B, key="k/0/1")]
    again = added(1.5, key="k", call=1)
    assert not unexplained(added(how="lost"), again, child)
    assert unexplained(added(), child)


def test_a_lost_answer_may_have_placed_it_once_more() -> None:
    again = added(3.5, call=1)
    assert not unexplained(added(how="lost"), again, ran(2, 3), ran(4, 5, B))
    assert unexplained(added(how="refused"), again, ran(2, 3), ran(4, 5, B))
    known = added(3.5, call=1, said="already_scheduled")
    assert unexplained(added(), known, ran(2, 3), ran(4, 5, B))


def test_a_second_placing_of_what_has_not_ended_is_found() -> None:
    def found(*lines: Entry | list[Entry]) -> bool:
        return bool(list(checker.double_placings(accounts(*lines))))

    assert found(added(), added(1.5, call=1), ran(2, 3), ran(2, 3, B))
    assert not found(added(), added(3.5, call=1), ran(2, 3), ran(4, 5, B))
    assert not found(added(), added(1.5, call=1, said="already_scheduled"), ran(2, 3))


def test_a_run_before_its_time_is_found() -> None:
    later = added(wall=WALL + 5)
    assert not list(checker.early_runs(accounts(later, ran(5, 6))))
    assert list(checker.early_runs(accounts(later, ran(4.9, 6))))


# limits ----------------------------------------------------------------------------------------------------


def overlaps(*lines: Entry | list[Entry]) -> bool:
    return bool(list(checker.overlapping_runs(accounts(*lines))))


def of(customer: str, begin: float, end: float | None, pid: int = A, how: str = "returned") -> list[Entry]:
    return ran(begin, end, pid, how, key=f"{customer}-{begin}", customer=customer)


def test_two_at_once_are_found() -> None:
    assert overlaps(of("c", 1, 3), of("c", 2, 4, B))
    assert not overlaps(of("c", 1, 3), of("c", 3, 4, B))
    assert not overlaps(of("c", 1, 3), of("d", 2, 4, B))


def test_who_was_killed_runs_no_longer() -> None:
    assert not overlaps(of("c", 1, None), signalled(2, "SIGKILL"), of("c", 3, 4, B))
    assert overlaps(of("c", 1, None), signalled(3.5, "SIGKILL"), of("c", 3, 4, B))


def test_who_is_stopped_does_not_run() -> None:
    stop = [signalled(2, "SIGSTOP"), signalled(6, "SIGCONT")]
    assert not overlaps(of("c", 1, 6.1), stop, of("c", 5, 5.9, B))
    assert not overlaps(of("c", 1, 6.3), stop, of("c", 5, 7, B))
    assert overlaps(of("c", 1, 8), stop, of("c", 5, 8, B)), "it went on long after it was resumed"


# processes -------------------------------------------------------------------------------------------------


def died(*lines: Entry | list[Entry]) -> bool:
    return bool(list(checker.deaths(accounts(*lines))))


def exited(at: float, code: int | None, pid: int = A) -> Entry:
    return line(at, "exit", of=pid, slot=0, code=code)


def test_a_process_that_ends_by_itself_is_found() -> None:
    assert died(exited(3, 1))
    assert died(exited(3, 0))
    assert died(exited(3, -9))
    assert died(exited(3, None))


def test_a_process_may_end_when_it_is_told_to() -> None:
    assert not died(signalled(2, "SIGTERM"), exited(3, 0))
    assert not died(signalled(2, "SIGKILL"), exited(3, -9))
    assert not died(signalled(2, "SIGTERM"), exited(3, -15)), "it was just starting"
    assert not died(signalled(2, "SIGTERM"), signalled(2.5, "SIGTERM"), exited(3, -15), ran(1, 1.5))
    assert died(signalled(2, "SIGTERM"), exited(3, -15), ran(1, 1.5))
    assert died(signalled(2, "SIGTERM"), exited(3, 1))


def test_a_body_that_ends_in_a_way_of_its_own_is_found() -> None:
    assert died(ran(1, 2, how="NameError('x')"))


def test_covered_time_counts_once() -> None:
    assert covered([(0, 2), (1, 3), (5, 6)], 1, 5.5) == 2.5


def paused(since: float, until: float, task: str = "plain") -> Entry:
    return line(until, "pause", name="pause a task", task=task, since=since, until=until)


@pytest.mark.parametrize("task", ["plain", "*"])
def test_a_run_that_begins_while_its_task_is_paused_is_a_violation(task: str) -> None:
    books = accounts(added(), ran(5, 6, task="plain"), paused(2, 7, task))
    (found,) = checker.paused_runs(books)
    assert found.what == f"began 3.000 s after {task} was paused"


@pytest.mark.parametrize(
    "lines",
    [
        [ran(2.5, 3, task="plain"), paused(2, 7)],  # taken before
        [ran(1.5, 6, task="plain"), paused(2, 7)],  # it ran then
        [ran(7.1, 8, task="plain"), paused(2, 7)],
        [ran(5, 6, task="failing"), paused(2, 7)],
        [
            ran(5, 6, task="plain"),
            fault(1, 4.5, [0]),
            paused(2, 7),
        ],  # it was taken before, and could not begin
    ],
)
def test_a_run_that_was_taken_before_or_is_of_another_task_is_none(lines: list[Any]) -> None:
    assert list(checker.paused_runs(accounts(added(), *lines))) == []


@pytest.mark.parametrize(
    "child",
    [ran(9, 9.5, key="k/1"), ran(2, 9, key="k/1"), ran(9, None, key="k/0/2")],
    ids=["begins", "goes on", "two"],
)
def test_a_child_that_outlives_its_parent_is_a_violation(child: list[Entry]) -> None:
    books = accounts(added(), ran(1.5, 3), ran(2, 3, key="k/0"), child)
    (found,) = checker.orphans(books)
    assert "outlived its parent by" in found.what


@pytest.mark.parametrize(
    "lines",
    [
        [ran(2, 4, key="k/1")],  # was asked to stop
        [ran(2, 11, key="k/1"), ran(8, 10, B)],  # the parent ran again
        [ran(2, 9, key="k/1"), fault(3, 8)],
        [ran(2, 9, key="k/1"), cancelled(7)],  # the parent waited to run again
        [ran(2, 9, key="other/1")],
    ],
)
def test_a_child_that_ends_soon_after_its_parent_is_none(lines: list[Any]) -> None:
    assert list(checker.orphans(accounts(added(), ran(1.5, 3), *lines))) == []
