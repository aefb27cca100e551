"""``--json`` of the commands that have had it longest as text, and what the text says beside the state."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Retry, Worker, clock
from tests.cli.office import Command, Office
from tests.cli.test_commands import said

DAY = timedelta(days=1)


def asked(capsys: pytest.CaptureFixture[str], *tokens: str) -> dict[str, Any]:
    found = json.loads(said(capsys, *tokens, "--json"))
    assert found["docket"] == "docket"
    return found


async def charge(account: str, retry: Retry = Retry(attempts=2, delay=DAY)) -> None:
    raise ValueError("no rows")


async def fill(docket: Docket) -> None:
    """A failure that is tried again tomorrow, and a task that is paused."""
    docket.register(charge)
    tried = await docket.add(charge, key="again")("a-1")
    worker = Worker(docket, "w1")
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        async for event in tried.subscribe():
            if event["type"] == "state" and event["state"] == "scheduled":
                worker.stop()
                break
    await docket.pause("trace", by="ann")
    await docket.add("trace", key="waits")("hello")


def test_a_snapshot(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    here.ask(fill)
    found = asked(capsys, "snapshot", "--stats")
    assert (found["total"], found["running"], found["left_out"], found["workers"]) == (2, 0, 0, [])
    waits, again = found["tasks"]
    assert (waits["key"], waits["state"], waits["paused"]) == ("waits", "queued", True)
    assert (again["key"], again["attempt"], again["error"]) == ("again", 2, "ValueError: no rows")
    figures = {each["function"]: each["queued"] for each in found["functions"]}
    assert figures == {"charge": 1, "trace": 1}
    assert [each["key"] for each in asked(capsys, "snapshot", "--limit", "1")["tasks"]] == ["waits"]
    text = said(capsys, "snapshot", "--limit", "1")
    assert "queued, paused" in text
    assert text.endswith("... and 1 more\n")
    assert "scheduled, attempt 2" in said(capsys, "snapshot")


def test_workers(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    with here.working("w1"):
        for words in ("ls",), ("for-task", "paint"):
            (worker,) = asked(capsys, "workers", *words)["workers"]
            assert worker["name"] == "w1"
            assert worker["tasks"] == ["fail", "paint", "sleep", "trace"]
            assert worker["last_seen"].endswith("+00:00")
            assert not worker["draining"]


def test_a_worker_that_drains(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    here.ask(lambda docket: docket.store.liveness.beat("w1", ["paint"], tasks_too=True, drains=True))
    for words in ("ls",), ("for-task", "paint"):
        (worker,) = asked(capsys, "workers", *words)["workers"]
        assert worker["draining"]
        row = said(capsys, "workers", *words).splitlines()[-1]
        assert re.fullmatch(r"w1 +0:00:\d\d\.\d{3} ago, draining +paint", row)
    assert asked(capsys, "status")["counts"]["draining"] == 1
    assert "\nworkers  1, 1 of them draining\n" in said(capsys, "status")


def test_what_changes_something(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    added = asked(capsys, "tasks", "trace", "hello", "--delay", "1h")
    assert added["function"] == "trace"
    assert asked(capsys, "add", "trace", "hello", "--key", "k", "--delay", "1h", "--force")["key"] == "k"
    (cancelled,) = asked(capsys, "cancel", "k")["keys"]
    assert cancelled["cancellation"] == "cancelled"
    assert asked(capsys, "strike", "trace")["strike"] == "trace"
    assert asked(capsys, "restore", "trace")["restored"] == "trace"
    assert asked(capsys, "clear")["cleared"] == 1


def test_the_status_counts_what_is_paused_has_failed_and_is_tried_again(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    here.ask(fill)
    lines = said(capsys, "status").splitlines()
    assert {"paused   0", "retrying 1", "failed   0", "pauses   1"} <= set(lines)


def test_one_task_is_shown_with_what_it_waits_for(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    here.ask(fill)
    lines = said(capsys, "show", "again").splitlines()
    assert {"state: scheduled", "attempt: 2", "error: ValueError: no rows"} <= set(lines)
    assert "paused: True" in said(capsys, "show", "waits").splitlines()
    shown = asked(capsys, "show", "waits")["execution"]
    assert (shown["paused"], shown["waits_for"], shown["worker_is_gone"]) == (True, None, False)


def test_who_watches_is_told_that_a_task_is_paused_and_resumed(here: Office) -> None:
    when = clock.now() + DAY
    here.ask(lambda docket: docket.add("paint", key="k1", when=when)(4))
    with Command("watch", "k1", "--url", here.url) as watch:
        assert watch.line() == "paint(...){k1} on docket 'docket'"
        assert watch.line().startswith("scheduled for ")
        here.ask(lambda docket: docket.pause("paint"))
        assert watch.line().endswith(", paused")
        here.ask(lambda docket: docket.resume("paint"))
        assert "paused" not in watch.line()
        here.ask(lambda docket: docket.cancel("k1"))
        assert watch.line() == "cancelled"


def test_each_event_is_an_object_on_a_line(here: Office) -> None:
    when = clock.now() + DAY
    here.ask(lambda docket: docket.add("paint", key="k1", when=when)(4))
    with Command("watch", "k1", "--url", here.url, "--json") as watch:
        first = json.loads(watch.line())
        assert (first["key"], first["event"], first["state"], first["remarks"]) == (
            "k1",
            "state",
            "scheduled",
            [],
        )
        assert first["when"] == when.isoformat()
        here.ask(lambda docket: docket.pause("paint"))
        found = json.loads(watch.line())
        while not found["remarks"]:
            found = json.loads(watch.line())
        assert found["remarks"] == ["paused"]
        here.ask(lambda docket: docket.cancel("k1"))
        status, rest, complaints = watch.ended()
    assert json.loads(rest.splitlines()[-1])["state"] == "cancelled"
    assert (status, complaints) == (0, "")


async def spoil(docket: Docket) -> None:
    """A delivery that nobody can read."""
    async with docket.redis() as redis:
        await redis.xadd(docket.stream_key, {"key": "k\n1", "function": "paint", "args": b"\x80" * 300})
    await Worker(docket).run_until_finished()


def test_what_could_not_be_read_is_listed_and_counted(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    here.ask(lambda docket: docket.add("trace", key="t", when=clock.now() + DAY)("x"))
    assert not any(line.startswith("dead") for line in said(capsys, "status").splitlines())
    here.ask(lambda docket: docket.cancel("t"))
    here.ask(spoil)
    title, _, when, reason, *fields = said(capsys, "dead-letters").splitlines()
    assert title == "Dead letters of docket 'docket', newest first: 1 of 1"
    assert re.fullmatch(r"\S+ ago, delivery \d+-0", when)
    assert reason.strip()
    assert fields[:2] == [r"  key: b'k\n1'", "  function: b'paint'"]
    assert fields[2].endswith(r"\x80'... (300 bytes)")
    (letter,) = asked(capsys, "dead-letters")["dead_letters"]
    assert (letter["key"], letter["fields"]["function"]) == ("k\n1", "b'paint'")
    assert "dead     1, which could not be read: see docket dead-letters" in said(capsys, "status")


def test_no_arguments_of_a_strike_are_said_in_words(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "strike", "trace")
    assert said(capsys, "strikes").splitlines()[1:] == ["trace(any arguments)"]


def test_a_key_without_a_record_is_not_said_to_have_had_one(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    async def forget(docket: Docket) -> None:
        await fill(docket)
        async with docket.redis() as redis:
            await redis.delete("docket:runs:again")

    here.ask(forget)
    assert said(capsys, "show", "again").splitlines()[0] == "Nothing is recorded of 'again' but what follows"


def test_a_task_without_progress_shows_none(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    async def take(docket: Docket) -> None:
        await docket.add("trace", key="t")("x")
        claims = docket.store.claims("w")
        await claims.create_group()
        await claims.take(1)

    here.ask(take)
    lines = said(capsys, "show", "t").splitlines()
    assert "state: running" in lines
    assert not any(line.startswith(("progress", "message", "begun")) for line in lines)
