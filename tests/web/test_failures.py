"""What has failed, as the dashboard shows it, and what it does about it."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from urllib.parse import quote

import anyio
import pytest

from docket import Docket, Retry, Worker
from docket.web import failing
from tests import where
from tests.web.caller import Caller

pytestmark = [pytest.mark.anyio, where.few_pairs]

EVIL = "</pre><img src=x onerror=y>"


async def flaky(retry: Retry = Retry(attempts=9, delay=timedelta(hours=1))) -> None:
    raise LookupError("not yet")


@pytest.fixture
async def failed(docket: Docket) -> Docket:
    """Five of ``bad`` have failed, one of ``flaky`` is tried again in an hour."""
    docket.register(flaky)
    for n in range(4):
        await docket.add("bad", key=f"bad-{n}")(f"out of paint {n}")
    await docket.add("bad", key="evil/?&#")(EVIL)
    await docket.add("flaky", key="flaky-1")()
    async with Worker(docket) as worker, anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        with anyio.fail_after(20):
            while (await docket.counts()).failed < 5 or not (await docket.counts()).retrying:
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    return docket


async def keys(docket: Docket) -> set[str]:
    return {each.key for each in await docket.failures()}


async def test_failures_are_listed_grouped_and_filtered(failed: Docket, web: Caller) -> None:
    page = (await web.get("failures")).text
    assert "5 failures" in page
    assert "<img" not in page
    filtered = (await web.get("failures?task=bad&error=PAINT+3")).text
    assert "bad-3" in filtered
    assert "bad-2" not in filtered
    again = (await web.get("failures?state=retrying")).text
    assert "flaky-1" in again
    assert "not yet" in again
    document = (await web.get("failures?format=json")).json
    assert document["total"] == 5
    assert document["failures"][0]["type"] == "ValueError"
    assert (await web.get("failures?state=x")).status == 400
    assert (await web.get("failures?after=x")).status == 400


async def test_the_task_of_a_group_is_paused_and_all_are_retried_from_above_the_rows(
    failed: Docket, web: Caller
) -> None:
    page = (await web.get("failures")).text
    groups, _, rows = page.partition('id="rows"')
    assert 'action="pause"' in groups
    assert 0 < rows.index("Retry all…") < rows.index("Check all rows") < rows.index('name="key"')
    await web.post("pause", {"task": "bad"})
    assert 'action="resume"' in (await web.get("failures")).text.partition('id="rows"')[0]


async def test_a_run_that_failed_has_its_traceback(failed: Docket, web: Caller) -> None:
    page = (await web.get(f"run?key={quote('evil/?&#', safe='')}")).text
    assert "&lt;/pre&gt;&lt;img" in page
    assert "raise ValueError(text)" in page
    assert "<img" not in page
    waits = (await web.get("run?key=flaky-1")).text
    assert "attempt 2" in waits
    assert "LookupError" in waits
    assert "Run now" in waits


async def test_one_is_retried_and_others_are_discarded(failed: Docket, web: Caller) -> None:
    done = await web.post("retry", {"only": "bad-0", "key": ["bad-1"], "back": "failures"})
    assert done.headers["location"] == "failures?done=retried&n=1&what=failure"
    assert "Retried 1 failure." in (await web.get(done.headers["location"])).text
    assert "bad-0" not in await keys(failed)
    assert (await failed.executions("due", contains="bad-0")).executions
    form = {"key": ["bad-1", "bad-2"]}
    assert "Discard 2 failures?" in (await web.post("discard", form)).text
    assert "n=2" in (await web.post("discard", {**form, "sure": "1"})).headers["location"]
    assert await keys(failed) == {"bad-3", "evil/?&#"}
    gone = await web.post("retry", {"key": "never-was"})
    assert "n=0&others=1" in gone.headers["location"]


async def test_all_that_match_are_retried_as_of_the_moment_of_the_question(
    failed: Docket, web: Caller
) -> None:
    form = {"task": "bad", "error": "paint"}
    asked = (await web.post("retry-all", form)).text
    assert "Retry 4 failures of docket orders?" in asked
    until = asked.partition('name="until" value="')[2].partition('"')[0]
    await failed.add("bad", key="bad-later")("out of paint, later")
    async with Worker(failed) as worker, anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        with anyio.fail_after(20):
            while "bad-later" not in await keys(failed):
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    done = await web.post("retry-all", {**form, "until": until.replace("&#43;", "+"), "sure": "1"})
    assert "n=4" in done.headers["location"], done.headers
    assert await keys(failed) == {"evil/?&#", "bad-later"}
    assert (await web.post("discard-all", {"until": "yesterday", "sure": "1"})).status == 400


async def test_failures_of_a_span_of_time_are_listed_and_retried(failed: Docket, web: Caller) -> None:
    assert (await web.get("failures?since=1h&format=json")).json["total"] == 5
    assert "No failure matches" in (await web.get("failures?until=1h")).text
    assert (
        'value="1h"' in (await web.get("failures?since=1h")).text
    )  # the form keeps it, and so do its buttons
    for wrong in "yesterday", "2026-11-28T12:00:00":
        answer = await web.get(f"failures?since={wrong}")
        assert answer.status == 400
        assert "since takes how long ago" in answer.text
    asked = (await web.post("retry-all", {"since": "1h", "error": "paint"})).text
    assert "Retry 4 failures of docket orders?" in asked
    since = asked.partition('name="since" value="')[2].partition('"')[0]
    assert "T" in since  # an hour ago is another moment when the form comes back
    none = await web.post("retry-all", {"until": "1h", "sure": "1"})
    assert "n=0" in none.headers["location"]


async def test_what_takes_too_long_is_gone_on_with(
    failed: Docket, web: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(failing, "LONGEST", 0.0)
    with caplog.at_level(logging.INFO, "docket.web"):
        asked = (await web.post("discard-all", {"error": "paint", "sure": "1"})).text
    assert "Go on with 4 failures?" in asked
    assert "0 failures of 4 are discarded now" in asked
    assert "discard-all on docket orders: 0 done, 4 not" in caplog.text
    monkeypatch.undo()
    until = asked.partition('name="until" value="')[2].partition('"')[0].replace("&#43;", "+")
    done = await web.post("discard-all", {"error": "paint", "until": until, "sure": "1"})
    assert "n=4" in done.headers["location"]


async def test_the_history_of_a_run_outlives_its_record(failed: Docket, web: Caller) -> None:
    """The rows of a task lead to its runs."""
    async with failed.redis() as redis:
        await redis.call("DEL", "orders:runs:bad-1", "orders:ops:failure:bad-1")
    page = (await web.get("task?name=bad")).text
    assert 'href="run?key=bad-1&amp;task=bad"' in page
    gone = await web.get("run?key=bad-1&task=bad")
    assert gone.status == 200
    assert "out of paint 1" in gone.text
    assert (await web.get("run?key=bad-1")).status == 404


async def test_a_key_that_holds_something_else_is_named(failed: Docket, web: Caller) -> None:
    async with failed.redis() as redis:
        await redis.call("SET", "orders:ops:failures", "mine")
    answer = await web.get("failures")
    assert answer.status == 503
    assert "<h1>Redis refuses</h1>" in answer.text
    assert "orders:ops:failures" in answer.text


async def test_what_waits_for_its_next_attempt_runs_now(failed: Docket, web: Caller) -> None:
    done = await web.post("run-now", {"key": "flaky-1"})
    assert "done=started&n=1" in done.headers["location"]
    assert [each.key for each in (await failed.executions("due")).executions] == ["flaky-1"]


async def test_the_document_of_a_failure_is_json(failed: Docket, web: Caller) -> None:
    for path in ("failures", "run?key=bad-1", "work?state=later", "pauses"):
        answer = await web.get(path, accept="application/json")
        assert json.loads(answer.body)["docket"] == "orders", path
