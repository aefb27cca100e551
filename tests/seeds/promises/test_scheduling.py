"""What the texts say of their examples about first steps, agendas and chains comes true, to the second."""

from __future__ import annotations

import importlib
from datetime import timedelta

import anyio
import pytest

from docket import Docket
from tests.seeds.stage import NOW, Stage
from tests.seeds.standins import File

pytestmark = pytest.mark.anyio

DAY, HOUR, MINUTE, SECOND = (timedelta(**{unit: 1}) for unit in ("days", "hours", "minutes", "seconds"))


# First steps.


async def test_jane_is_greeted_now_and_john_three_seconds_later(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    await stage.perform("readme: A worker that greets")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Hello, Jane at ")
    assert second.startswith("Howdy, John at ")
    assert stage.gaps("greet") == [3]


async def test_a_docket_has_the_name_that_it_is_given(stage: Stage) -> None:
    await stage.perform("readme: A docket with a name")
    orders: Docket = stage.names["docket"]
    assert (orders.name, orders.url) == ("orders", "redis://my-redis:6379/0")


async def test_the_follow_up_is_sent_tomorrow(stage: Stage) -> None:
    await stage.perform("readme: Work for now and for tomorrow")
    assert await stage.due("send_followup_email") == [DAY]
    await stage.go_on(DAY - SECOND)
    assert [run.task for run in stage.runs] == ["send_welcome_email"]
    await stage.go_on(SECOND)
    assert [run.task for run in stage.runs] == ["send_welcome_email", "send_followup_email"]


@pytest.mark.parametrize(
    ("example", "when", "name"),
    [
        ("Work under a key", DAY, "Jane Smith"),
        ("The same key again", DAY, "Jane Smith"),
        ("Another time for a key", 7 * DAY, "Jane Smith"),
        ("Other arguments for a key", DAY, "Jane Q. Smith"),
    ],
)
async def test_a_key_is_there_once(stage: Stage, example: str, when: timedelta, name: str) -> None:
    await stage.perform(f"readme: {example}")
    execution = await stage.docket.get_execution("welcome-email-for-12345")
    assert execution is not None
    assert execution.args == (12345, name)
    assert sorted(await stage.due("send_followup_email")) == sorted([DAY, when])  # one is without a key
    await stage.go_on(8 * DAY)
    assert len(stage.runs_of("send_followup_email")) == 2


async def test_a_key_that_is_cancelled_does_not_run(stage: Stage) -> None:
    await stage.perform("readme: No more of a key")
    await stage.go_on(2 * DAY)
    assert len(stage.runs_of("send_followup_email")) == 1  # the one without a key


async def test_a_task_is_found_by_its_name(stage: Stage) -> None:
    await stage.perform("readme: A task by its name")
    await stage.go_on(2 * DAY)
    assert [run.ended for run in stage.runs_of("send_followup_email")] == ["succeeded"] * 2


async def test_a_task_looks_every_ten_seconds_until_the_file_is_there(stage: Stage) -> None:
    await stage.perform("readme: A task that adds itself")
    await stage.add("poll_for_changes", File())
    await stage.go_on(HOUR)
    assert stage.gaps("poll_for_changes") == [10, 10, 10]


async def test_a_key_that_runs_is_not_added_again(stage: Stage) -> None:
    """The text promises a chain; with pydocket 0.27, too, it ends after the first run: ``replace`` would go on."""
    await stage.perform("readme: A task that keeps its key")
    await stage.add("poll_for_changes", File())
    await stage.go_on(HOUR)
    assert stage.dispositions("poll_for_changes") == ["scheduled", "already_scheduled"]
    assert len(stage.runs_of("poll_for_changes")) == 1


@pytest.mark.parametrize(("example", "pauses"), [("", [3, 3, 3]), (" with growing pauses", [2, 4, 8])])
async def test_the_fourth_attempt_succeeds(
    stage: Stage, example: str, pauses: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The text counts one pause too many: 2, 4, 8, then 16 seconds would be before a fifth attempt."""
    await stage.perform(f"readme: Trying again{example}")
    execution = await stage.add("faily")
    await stage.go_on(MINUTE)
    assert await execution.get_result() is None
    assert stage.gaps("faily") == pauses
    assert capsys.readouterr().out == "whew!\n"


async def test_a_worker_runs_the_collection(stage: Stage) -> None:
    collection = importlib.import_module("my_tasks").my_task_collection
    executions = [await stage.docket.add(task)() for task in collection]
    async with anyio.create_task_group() as group:
        group.start_soon(stage.perform, "readme: A worker that knows a collection")
        for execution in executions:
            await execution.get_result()
        group.cancel_scope.cancel()
    assert sorted(run.task for run in stage.runs) == ["my_first_task", "my_second_task"]


# Agendas.

HUNDRED = [timedelta(seconds=round(number * 3000 / 99)) for number in range(100)]


async def test_a_hundred_calls_take_fifty_minutes(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Approximately thirty seconds apart."""
    await stage.perform("agenda: A hundred calls over fifty minutes")
    assert capsys.readouterr().out == "Scheduled 100 tasks over 50 minutes\n"
    assert await stage.due("process_item") == HUNDRED
    await stage.go_on(50 * MINUTE)
    numbers = [(number,) for number in range(1, 101)]
    assert stage.notes.args("perform_expensive_operation") == numbers
    assert stage.notes.args("update_database") == numbers
    assert set(stage.gaps("process_item")) == {30}


async def due_besides_the_hundred(stage: Stage) -> list[timedelta]:
    rest = await stage.due("process_item")
    for when in HUNDRED:
        rest.remove(when)
    return rest


async def test_jitter_moves_each_by_up_to_thirty_seconds(stage: Stage) -> None:
    await stage.perform("agenda: Not all at the same moment")
    moved = await due_besides_the_hundred(stage)
    assert moved != HUNDRED
    assert all(abs(one - planned) <= 31 * SECOND for one, planned in zip(moved, HUNDRED, strict=True))


async def test_a_window_begins_in_two_hours(stage: Stage) -> None:
    await stage.perform("agenda: A window in the future")
    there = await due_besides_the_hundred(stage)
    assert (len(there), there[0], there[-1]) == (100, 2 * HOUR, 2 * HOUR + 30 * MINUTE)


async def test_calls_of_several_tasks_run_in_the_order_they_were_added(stage: Stage) -> None:
    await stage.perform("agenda: Calls of several tasks")
    await stage.go_on(10 * MINUTE)
    others = ("perform_expensive_operation", "send", "track")
    assert [note.args for note in stage.notes.of(*others) if note.args[0] not in range(101)] == [
        (1001,),
        ("user123", "welcome"),
        ({"event": "signup", "user": "user123"},),
        (1002,),
    ]


async def test_one_call_alone_is_due_in_the_middle(stage: Stage) -> None:
    await stage.perform("agenda: One call alone")
    assert await due_besides_the_hundred(stage) == [5 * MINUTE]


async def test_an_agenda_may_be_scattered_again(stage: Stage) -> None:
    await stage.perform("agenda: The same agenda again")
    tasks = ["cleanup_temp_files", "compress_old_logs", "update_metrics"]
    assert [await stage.due(task) for task in tasks] == [
        [NOW, DAY],
        [HOUR / 2, DAY + HOUR / 4],
        [HOUR, DAY + HOUR / 2],
    ]
    await stage.go_on(2 * DAY)
    assert [run.task for run in stage.runs] == tasks * 2


async def test_what_comes_before_the_call_that_cannot_be_placed_is_placed(stage: Stage) -> None:
    await stage.perform("agenda: A call that cannot be placed")
    await stage.go_on(HOUR)
    assert stage.notes.args("valid_task") == [("arg1",), ("arg2",)]


# Chains.


@pytest.mark.parametrize(
    ("url", "end"), [("/good.csv", "transform_and_store"), ("/invalid.csv", "handle_invalid_data")]
)
async def test_a_chain_goes_on_with_what_was_found(stage: Stage, url: str, end: str) -> None:
    await stage.perform("chains: A task that adds the next")
    await stage.add("download_data", f"https://example.com{url}")
    await stage.go_on(MINUTE)
    assert [note.name for note in stage.notes.all] == ["download_file", "is_valid_data", end]
    assert stage.notes.args(end) == [(f"/tmp{url}",)]


async def test_the_end_comes_two_hours_after_the_parts(stage: Stage) -> None:
    await stage.perform("chains: Many parts, and one task for the end")
    await stage.add("process_large_dataset", "d1")
    await stage.go_on(HOUR)
    chunks = [("d1", "c1"), ("d1", "c2"), ("d1", "c3")]
    assert sorted(stage.notes.args("process_data_chunk")) == chunks
    assert sorted(stage.notes.args("mark_chunk_complete")) == chunks
    assert await stage.docket.get_execution("finalize-d1") is not None
    assert stage.runs_of("finalize_dataset") == []
    await stage.go_on(HOUR + MINUTE)
    assert stage.notes.args("finalize_dataset") == [("d1", 3)]


@pytest.mark.parametrize(
    ("user", "then"),
    [
        ("risk", ["create_retention_campaign"]),
        ("upsell", ["create_upsell_campaign"]),
        ("content", ["collect_user_behavior"]),
        ("nobody", []),
    ],
)
async def test_what_comes_next_depends_on_the_user(stage: Stage, user: str, then: list[str]) -> None:
    await stage.perform("chains: What comes next depends")
    await stage.add("analyze_user_behavior", user)
    await stage.go_on(MINUTE)
    again = [] if user != "content" else [30 * DAY - MINUTE]
    assert [round(wait / MINUTE) for wait in await stage.due("analyze_user_behavior")] == [
        round(wait / MINUTE) for wait in again
    ]
    assert (await stage.docket.get_execution(f"behavior-check-{user}") is not None) == (user == "content")
    await stage.go_on(30 * DAY)
    assert [note.name for note in stage.notes.all] == ["collect_user_behavior", *then]
    assert {note.args for note in stage.notes.all} == {(user,)}
