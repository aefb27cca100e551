"""``docket watch``: a task, followed to its end by another process."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from docket.cli.app import docket_app, run
from tests.cli.office import Command, Office, office
from tests.servers import Server
from tests.where import slow

pytestmark = slow

TITLE = "paint(...){k1} on docket 'docket'"
SPAN = r"\d:\d\d:\d\d\.\d{3}"


@pytest.fixture
def here(redis_url: str) -> Iterator[Office]:
    with office(redis_url) as found:
        yield found


def paint(here: Office, *, delay: float = 0) -> None:
    when = datetime.now(UTC) + timedelta(seconds=delay)
    here.ask(lambda docket: docket.add("paint", key="k1", when=when)(4))


@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_every_event_is_a_line_until_the_task_has_ended(here: Office, backend: str) -> None:
    paint(here, delay=3600)
    with Command("watch", "k1", "--url", here.url, "--backend", backend) as watch:
        assert watch.line() == TITLE
        assert re.fullmatch(r"scheduled for .*\+00:00, in 0:59:\d\d\.\d{3}", watch.line())
        with here.working():
            when = datetime.now(UTC)
            here.ask(lambda docket: docket.replace("paint", when=when, key="k1")(4))
            lines = [watch.line(), watch.line(), watch.line()]
            assert lines[0] == "queued"
            assert re.fullmatch(rf"running on w1 for {SPAN}", lines[1])
            assert lines[2] == "[--------------------] 0% 0/4"
            here.gates["running"].set()
            assert watch.line() == "[##########----------] 50% 2/4"
            here.gates["half"].set()
            assert watch.line() == r"[##########----------] 50% 2/4 nearly\n\x1b[31mdone"
            here.gates["done"].set()
            status, rest, complaints = watch.ended()
    assert re.fullmatch(rf"completed on w1 after {SPAN}\n", rest)
    assert (status, complaints) == (0, "")


@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_an_interrupt_ends_it_without_a_word(here: Office, backend: str) -> None:
    paint(here)
    with Command("watch", "k1", "--url", here.url, "--backend", backend) as watch:
        assert [watch.line(), watch.line()] == [TITLE, "queued"]
        watch.interrupt()
        assert watch.ended() == (130, "", "")


def test_a_task_that_has_ended_is_told_at_once(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    paint(here)
    here.ask(lambda docket: docket.cancel("k1"))
    assert run(docket_app(), ["watch", "k1", "-u", here.url, "-d", "docket"]) == 0
    assert capsys.readouterr().out == f"{TITLE}\ncancelled\n"


def test_how_a_task_failed_is_told_on_one_line(here: Office, capsys: pytest.CaptureFixture[str]) -> None:
    here.ask(lambda docket: docket.add("fail", key="k2")("two\nlines"))
    with here.working():
        assert run(docket_app(), ["watch", "k2", "--url", here.url]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.match(rf"failed on w1 after {SPAN}: Exception: two\\nlines: ", last)


def test_a_key_that_nobody_knows_is_said_to_be_unknown(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(here)
    assert run(docket_app(), ["watch", "nobody", "--url", here.url]) == 1
    assert capsys.readouterr() == ("", "docket: there is no task 'nobody' on docket 'docket'\n")


def test_a_lost_connection_does_not_end_it(here: Office) -> None:
    paint(here)
    with Command("watch", "k1", "--url", here.url) as watch:
        assert [watch.line(), watch.line()] == [TITLE, "queued"]

        async def hang_up(docket: object) -> None:
            async with docket.redis() as redis:  # type: ignore[attr-defined]
                await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

        here.ask(hang_up)
        for gate in here.gates.values():
            gate.set()
        with here.working():
            status, rest, complaint = watch.ended()
    assert (status, complaint) == (0, "")
    assert "completed on w1" in rest


def test_a_server_that_goes_away_ends_it_with_one_line() -> None:
    with Server() as server, office(server.url) as there:
        paint(there)
        with Command("watch", "k1", "--url", server.url) as watch:
            assert [watch.line(), watch.line()] == [TITLE, "queued"]
            server.kill()
            status, _, complaint = watch.ended()
    assert status == 1
    assert complaint.startswith("docket: ")
    assert complaint.count("\n") == 1


def test_nobody_who_listens_ends_it_without_a_word(here: Office) -> None:
    paint(here)
    reader, writer = os.pipe()
    os.close(reader)
    with Command("watch", "k1", "--url", here.url, stdout=writer) as watch:
        os.close(writer)
        assert watch.ended() == (141, "", "")


def test_at_a_terminal_it_is_one_picture(here: Office) -> None:
    paint(here)
    for gate in ("running", "half"):
        here.gates[gate].set()
    terminal, other_end = pty.openpty()
    with here.working(), Command("watch", "k1", "--url", here.url, stdout=other_end) as watch:
        os.close(other_end)
        seen = b""
        with suppress(OSError):  # how a terminal says that its last writer has gone
            while part := os.read(terminal, 4096):
                seen += part
                if b"nearly" in seen:
                    here.gates["done"].set()
        assert watch.ended()[0] == 0
    os.close(terminal)
    picture = seen.decode()
    assert "running on w1" in picture
    assert "50% 2/4 nearly\\n\\x1b[31mdone" in picture
    assert "\x1b[31mdone" not in picture
    assert re.search(rf"completed on w1 after {SPAN}", picture)
    assert "\x1b[2K" in picture  # drawn over, not written below each other
