"""Forms: what they do, and which are refused."""

from __future__ import annotations

import logging
from datetime import timedelta
from urllib.parse import quote

import anyio
import pytest

from docket import Docket, Worker, clock
from docket.web import Dashboard, Visitor, anybody
from tests import where
from tests.web.caller import Caller

pytestmark = [pytest.mark.anyio, where.few_pairs]

ODD = "a/b?c#d%&é <x> \r\n"


async def waits(docket: Docket, *keys: str) -> None:
    for key in keys:
        await docket.add("paint", when=clock.now() + timedelta(hours=1), key=key)()


async def left(docket: Docket) -> set[str]:
    return {each.key for each in (await docket.executions("later")).executions}


async def test_cancelling_asks_first_then_does_it_and_comes_back(
    docket: Docket, web: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    await waits(docket, "one", "two", ODD)
    form = {"key": ["one", quote(ODD, safe="")], "back": "work?state=later&task=paint"}
    asked = await web.post("cancel", form)
    assert asked.status == 200
    assert "Cancel 2 tasks?" in asked.text
    assert await left(docket) == {"one", "two", ODD}
    with caplog.at_level(logging.INFO, "docket.web"):
        done = await web.post("cancel", {**form, "sure": "1"})
    assert done.status == 303
    assert done.headers["location"] == "work?state=later&task=paint&done=cancelled&n=2&what=task"
    assert await left(docket) == {"two"}
    assert "Cancelled 2 tasks." in (await web.get(done.headers["location"])).text
    (line,) = [each.getMessage() for each in caplog.records]
    assert line.startswith("anybody: cancel on docket orders: 2 done, 0 not: 'one', 'a/b")
    assert "\n" not in line


async def test_a_button_of_a_row_acts_on_that_row_alone(docket: Docket, web: Caller) -> None:
    await waits(docket, "one", "two")
    await web.post("cancel", {"key": ["one"], "only": "two", "sure": "1"})
    assert await left(docket) == {"one"}


async def test_what_is_over_is_counted_apart(docket: Docket, web: Caller) -> None:
    await waits(docket, "one")
    done = await web.post("cancel", {"key": ["one", "never-was"], "sure": "1"})
    assert "n=1&others=1" in done.headers["location"]
    page = (await web.get(done.headers["location"].removeprefix("./"))).text
    assert "Cancelled 1 task; 1 task ended before." in page


async def test_a_running_task_is_asked_to_stop(docket: Docket, web: Caller) -> None:
    await docket.add("slow", key="k")()
    async with Worker(docket, name="w") as worker, anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        with anyio.fail_after(20):
            while not (await docket.executions("running")).executions:
                await anyio.sleep(0.01)
            assert "Cancel…" in (await web.get("run?key=k")).text
            await web.post("cancel", {"key": "k", "sure": "1"})
            while "cancelled" not in (await web.get("run?key=k")).text:
                await anyio.sleep(0.02)
        group.cancel_scope.cancel()


async def test_strikes_are_made_and_restored(docket: Docket, web: Caller) -> None:
    struck = await web.post(
        "strike",
        {"function": "paint", "parameter": "wall", "operator": ">=", "value": "3", "kind": "whole number"},
    )
    assert struck.status == 303
    await web.post("strike", {"function": "wash"})
    assert {each.call_repr() for each in await docket.strikes()} == {"paint(wall >= 3)", "wash(* == *)"}
    page = (await web.get("strikes")).text
    marks = [piece.partition('"')[0] for piece in page.split('name="strike" value="')[1:]]
    assert len(marks) == 2
    for mark in marks:
        await web.post("restore", {"strike": mark})
    assert not await docket.strikes()
    gone = await web.post("restore", {"strike": marks[0]})
    assert "n=0&others=1" in gone.headers["location"]


async def test_tasks_and_the_docket_are_paused_and_resumed(docket: Docket, web: Caller) -> None:
    await web.post("pause", {"name": "paint", "reason": "out of <paint>"})
    (pause,) = await docket.pauses()
    assert (pause.task, pause.reason, pause.by) == ("paint", "out of <paint>", "anybody")
    for page in ("pauses", "task?name=paint"):
        assert "out of &lt;paint&gt;" in (await web.get(page)).text
    again = await web.post("pause", {"task": "paint"})
    assert "n=0&others=1" in again.headers["location"]
    assert "Pause the whole docket?" in (await web.post("pause", {"every": "1"})).text
    assert len(await docket.pauses()) == 1
    await web.post("pause", {"every": "1", "sure": "1", "reason": "moving"})
    page = (await web.get("workers")).text
    assert "The whole docket is" in page
    assert "by anybody just <time" in page
    await web.post("resume", {"every": "1"})
    await web.post("resume", {"task": "paint"})
    assert not await docket.pauses()


@pytest.mark.parametrize(("path", "field"), [("pause", "name"), ("strike", "function")])
async def test_a_name_that_no_worker_knows_is_asked_about(
    docket: Docket, web: Caller, path: str, field: str
) -> None:
    asked = await web.post(path, {field: "painnt"})
    assert asked.status == 200
    assert "which no worker knows?" in asked.text
    assert "did you mean &#x27;paint&#x27;?" in asked.text
    assert not [*await docket.pauses(), *await docket.strikes()]
    assert (await web.post(path, {field: "painnt", "sure": "1"})).status == 303
    assert len([*await docket.pauses(), *await docket.strikes()]) == 1


@pytest.mark.parametrize(
    ("path", "form", "words"),
    [
        ("cancel", {"sure": "1"}, "no row is checked"),
        ("cancel", {"key": "%ff", "sure": "1"}, "no text"),
        ("cancel", {"key": ["k", ""], "sure": "1"}, "may not be empty"),
        ("cancel", {"key": ["k"] * 501, "sure": "1"}, "at most 500"),
        ("pause", {}, "may not be empty"),
        ("pause", {"name": "*"}, "is no task"),
        ("pause", {"task": "%ff"}, "the task of the form is no text"),
        ("strike", {}, "name a task"),
        (
            "strike",
            {"parameter": "x", "value": "a", "kind": "whole number"},
            "cannot be read as whole number",
        ),
        ("strike", {"parameter": "x", "value": "a", "kind": "pickle"}, "no kind of value"),
        ("strike", {"parameter": "x", "operator": "~", "value": "a", "kind": "text"}, "not a valid Operator"),
    ],
)
async def test_a_form_that_makes_no_sense_changes_nothing(
    docket: Docket, web: Caller, path: str, form: dict[str, object], words: str
) -> None:
    await waits(docket, "k")
    answer = await web.post(path, form)
    assert answer.status == 400
    assert words in answer.text
    assert await left(docket) == {"k"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://evil.test"},
        {"origin": "null"},
        {"origin": "http://ops.test.evil.test"},
        {"origin": "http://ops.test", "sec-fetch-site": "cross-site"},
    ],
)
async def test_a_forged_form_is_refused(docket: Docket, web: Caller, headers: dict[str, str]) -> None:
    await waits(docket, "k")
    answer = await web.post("cancel", {"key": "k", "sure": "1"}, headers)
    assert answer.status == 403
    assert "Nothing was changed" in answer.text
    assert await left(docket) == {"k"}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin"},
        {"origin": "http://ops.test"},
        {"origin": "https://front.example.org"},
    ],
)
async def test_a_form_of_our_own_is_taken(docket: Docket, headers: dict[str, str]) -> None:
    web = Caller(Dashboard(docket, authorize=anybody, origins=["https://front.example.org/"]))
    await waits(docket, "k")
    assert (await web.post("cancel", {"key": "k", "sure": "1"}, headers)).status == 303
    assert not await left(docket)


async def test_who_may_only_look_changes_nothing(docket: Docket) -> None:
    await waits(docket, "k")
    for dashboard in (
        Dashboard(docket, authorize=anybody, read_only=True),
        Dashboard(docket, authorize=lambda scope: Visitor("guest", may_act=False)),
    ):
        web = Caller(dashboard)
        pages = (
            "work?state=later",
            "run?key=k",
            "strikes",
            "pauses",
            "schedules",
            "failures",
            "task?name=paint",
        )
        for page in pages:
            assert 'method="post"' not in (await web.get(page)).text, page
        assert (await web.post("cancel", {"key": "k", "sure": "1"})).status == 403
    assert await left(docket) == {"k"}


async def test_a_body_that_is_too_large_or_no_form_is_refused(docket: Docket, web: Caller) -> None:
    same = {"sec-fetch-site": "same-origin"}
    assert (await web.post("cancel", b"x" * 65_537)).status == 413
    assert (await web.post("cancel", b"", {**same, "content-length": "9999999"})).status == 413
    assert (await web.post("cancel", b"&".join([b"key=k"] * 1001))).status == 413
    assert (
        await web.post("cancel", b'{"key": 1}', {**same, "content-type": "application/json"})
    ).status == 415
    assert (await web.post("nothing", b"")).status == 404


@pytest.mark.parametrize(
    "back", ["https://evil.test/", "//evil.test", "run/../x", "javascript:alert(1)", "\r\nx: y"]
)
async def test_a_form_leads_back_to_no_other_place(docket: Docket, web: Caller, back: str) -> None:
    await waits(docket, "k")
    answer = await web.post("cancel", {"key": "k", "sure": "1", "back": back})
    assert answer.headers["location"] == "./?done=cancelled&n=1&what=task"


async def test_what_an_address_says_of_an_action_is_nobodys_text(web: Caller) -> None:
    page = (await web.get("?done=%3Cb%3E&n=1&what=task")).text
    assert 'class="told"' not in page
    page = (await web.get("?done=cancelled&n=9999999999999&what=task")).text
    assert "Cancelled nothing." in page
