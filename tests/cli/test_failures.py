"""``docket failures``, ``retry``, ``discard`` and ``run-now``."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from docket import Docket, ExecutionState, Retry, Worker
from docket.cli.app import docket_app, run
from docket.store import Again, Delivery, FailureReport
from tests.cli.office import Office
from tests.cli.test_commands import SPAN, complaint, said


async def charge(account: str) -> None:
    raise TimeoutError(f"no answer for {account}\n\x1b[31m")


async def fragile(retry: Retry = Retry(attempts=2, delay=timedelta(days=1))) -> None:
    raise KeyError("x")


async def fail_some(docket: Docket) -> None:
    docket.register(charge)
    for n in range(3):
        await docket.add(charge, key=f"c-{n}")(f"n-{n}")
    await docket.add("fail", key="f")("no rows")
    await Worker(docket, "w1").run_until_finished()


async def leave_a_retry(docket: Docket) -> None:
    docket.register(fragile)
    await docket.add(fragile, key="again")()
    claims = docket.store.claims("w1")
    await claims.create_group()
    (taken,) = await claims.take(1)
    assert isinstance(taken, Delivery)
    following = taken.message.again(datetime.now(UTC) + timedelta(days=1), 2)
    report = FailureReport("KeyError", "'x'", "Traceback ...", None)
    await claims.reschedule(taken, Again(following, tried="KeyError: 'x'", failure=report))


def test_failures_are_listed_counted_and_shown(here: Office, capsys: Any) -> None:
    here.ask(fail_some)
    lines = said(capsys, "failures").splitlines()
    assert lines[0] == "Failures of docket 'docket', newest first: 4 of 4"
    assert re.fullmatch(r"Failed +Function +Key +Attempt +Error", lines[1])
    row = next(line for line in lines if " c-1 " in line)
    assert re.fullmatch(rf"{SPAN} ago +charge +c-1 +1 +TimeoutError: no answer for n-1\\n\\x1b\[31m", row)
    some = said(capsys, "failures", "--task", "charge", "--error", "N-2", "--since", "1h")
    assert some.splitlines()[0].endswith("1 of 1")
    assert said(capsys, "failures", "--until", "7d") == "Failures of docket 'docket', newest first: 0 of 0\n"
    groups = said(capsys, "failures", "--groups").splitlines()
    assert re.fullmatch(rf"charge +3  TimeoutError +{SPAN} ago", groups[2])
    shown = said(capsys, "failures", "c-1").splitlines()
    assert shown[0] == "charge(...){c-1} on docket 'docket'"
    assert "on w1, in attempt 1" in shown[1]
    assert shown[-2:] == ["TimeoutError: no answer for n-1", r"\x1b[31m"]
    assert complaint(capsys, 1, "failures", "k") == "no failure is kept under the key 'k' on docket 'docket'"


def test_each_prints_one_object_of_json(here: Office, capsys: Any) -> None:
    here.ask(fail_some)
    first = json.loads(said(capsys, "failures", "--json", "--limit", "3"))
    assert (first["docket"], first["total"], len(first["failures"])) == ("docket", 4, 3)
    rest = json.loads(said(capsys, "failures", "--json", "--after", first["next"]))
    assert (len(rest["failures"]), rest["next"]) == (1, None)
    one = json.loads(said(capsys, "failures", "c-1", "--json"))["failure"]
    assert one in [*first["failures"], *rest["failures"]]
    assert (one["key"], one["type"], one["attempt"], one["count"]) == ("c-1", "TimeoutError", 1, 1)
    assert (one["final"], one["retryable"], one["goes_on"], one["next_at"]) == (True, True, False, None)
    assert one["call"] == "charge(...){c-1}"
    assert "args" not in one
    groups = json.loads(said(capsys, "failures", "--groups", "--json"))["groups"]
    assert [(each["function"], each["count"]) for each in groups] == [("charge", 3), ("fail", 1)]
    done = json.loads(said(capsys, "retry", "--all", "--task", "charge", "--yes", "--json"))
    assert (done["done"], done["skipped"]) == (3, {})
    done = json.loads(said(capsys, "discard", "f", "--json"))
    assert done["keys"][0]["key"] == "f"
    assert done["keys"][0]["done"] is True


def test_failures_are_retried_by_key(here: Office, capsys: Any) -> None:
    here.ask(fail_some)
    out = said(capsys, "retry", "c-0", "c-1")
    assert out == "Retried task 'c-0' on docket 'docket'\nRetried task 'c-1' on docket 'docket'\n"
    execution = here.ask(lambda docket: docket.get_execution("c-0"))
    assert execution is not None
    assert (execution.state, execution.generation) == (ExecutionState.QUEUED, 2)
    assert complaint(capsys, 1, "retry", "c-0") == "task 'c-0' on docket 'docket' waits or runs already"
    assert complaint(capsys, 1, "retry", "k") == "no failure is kept under the key 'k' on docket 'docket'"
    said(capsys, "strike", "charge")
    assert complaint(capsys, 1, "retry", "c-2") == "a strike forbids task 'c-2' on docket 'docket'"


def test_a_key_refuses_to_sign_what_nobody_known_has_signed(here: Office, capsys: Any, tmp_path: Any) -> None:
    here.ask(fail_some)
    file = tmp_path / "keys"
    file.write_text("a key of sixteen bytes and more\n")
    file.chmod(0o600)
    signing = "--signing-key-file", str(file)
    assert complaint(capsys, 1, "retry", "c-0", *signing).startswith(
        "the call of task 'charge' under the key 'c-0' is not signed"
    )
    done = json.loads(said(capsys, "retry", "--all", "--yes", "--json", *signing))
    assert (done["done"], done["skipped"]) == (0, {"not trusted": 4})
    assert said(capsys, "retry", "c-0").startswith("Retried")  # without a key it works on the bytes


def test_all_that_match_are_retried_or_discarded(here: Office, capsys: Any) -> None:
    here.ask(fail_some)
    out = said(capsys, "retry", "--all", "--error", "timeout", "--yes")
    assert out == "Retried 3 failures with 'timeout' on docket 'docket'\n"
    assert said(capsys, "discard", "--all", "-y") == "Discarded 1 failure on docket 'docket'\n"
    assert said(capsys, "discard", "--all", "-y") == "Discarded 0 failures on docket 'docket'\n"


@pytest.mark.parametrize(("answer", "left"), [("y\n", 1), ("\n", 4), ("no\n", 4)])
def test_at_a_terminal_it_asks_first(
    here: Office, answer: str, left: int, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.ask(fail_some)
    monkeypatch.setattr("docket.cli.retry.at_a_terminal", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    status = run(docket_app(), ["retry", "--all", "--task", "charge"])
    out, err = capsys.readouterr()
    assert out.startswith("Retry 3 failures of task 'charge' on docket 'docket'? [y/N] ")
    assert (status, err) == ((0, "") if left == 1 else (1, "docket: nothing was retried\n"))
    assert len(here.ask(lambda docket: docket.failures())) == left


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (["retry", "--all"], "retry --all asks first, and nobody is at a terminal: give --yes"),
        (["retry"], "retry takes the keys of failures, or --all; docket failures lists them"),
        (["discard", "--all", "k", "--yes"], "discard takes keys or --all, not both"),
        (["retry", "k", "--task", "f"], "--task, --error, --since and --until need --all, and no keys"),
        (["failures", "--limit", "0"], "--limit takes a whole number from 1 to 1000, not '0'"),
        (["failures", "--after", "x"], "after takes a failure, or the cursor of one, not 'x'"),
        (
            ["failures", "--since", "2026-11-28"],
            "--since takes how long ago, like 90s, 1h or 7d, or a moment like 2026-11-28T12:00:00+00:00, "
            "not '2026-11-28'",
        ),
    ],
)
def test_what_is_not_meant_is_refused(here: Office, tokens: list[str], says: str, capsys: Any) -> None:
    here.ask(fail_some)
    assert complaint(capsys, 2, *tokens) == says
    assert len(here.ask(lambda docket: docket.failures())) == 4


def test_what_is_tried_again_is_listed_and_runs_now(here: Office, capsys: Any) -> None:
    here.ask(leave_a_retry)
    head, names, row = said(capsys, "failures", "--retrying").splitlines()
    assert head == "Failures of docket 'docket', tried again, the soonest first: 1 of 1"
    assert names.startswith("Next Attempt ")
    assert re.match(r"in 23:59:\S+ +fragile +again +1 +KeyError: 'x'", row)
    assert "next attempt in 23:59:" in said(capsys, "failures", "again")
    assert said(capsys, "run-now", "again") == "Task 'again' on docket 'docket' runs now\n"
    here.ask(lambda docket: docket.store.due.move(1))
    assert run(docket_app(), ["run-now", "again", "k"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"docket: nothing waits for its time under the key '{key}' on docket 'docket'"
        for key in ("again", "k")
    ]
