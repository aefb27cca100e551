"""``docket pause``, ``resume`` and ``pauses``."""

from __future__ import annotations

import getpass
import json
import re
from datetime import datetime, timedelta
from typing import Any

from docket import Docket, clock
from tests.cli.office import Command, Office
from tests.cli.test_commands import complaint, said
from tests.servers import Server
from tests.trouble import REFUSALS


async def add_and_look(docket: Docket) -> None:
    """Add three calls of ``paint``, and have a worker look at them."""
    await docket.add_many([docket.call("paint")(walls) for walls in range(3)])
    claims = docket.store.claims("w")
    await claims.take(10)
    assert claims.lined_up == 3


def test_a_task_is_paused_listed_and_resumed(here: Office, capsys: Any) -> None:
    with here.working():
        asked = ("pause", "paint", "--reason", "provider\x1b[31m down")
        assert said(capsys, *asked) == "Paused task 'paint' on docket 'docket'\n"
    here.ask(add_and_look)
    listed = said(capsys, "pauses")
    assert listed.startswith("Pauses of docket 'docket'\nTask   Waiting  Since")
    assert re.search(
        rf"\npaint        3  0:00:.{{6}} ago  {getpass.getuser()} +provider\\x1b\[31m down\n$", listed
    )
    again = said(capsys, "pause", "paint", "--by", "ann")
    assert again == "Nothing to do: task 'paint' was paused before on docket 'docket': 3 tasks wait\n"
    assert " scheduled, paused  paint " in said(capsys, "snapshot")
    assert (
        said(capsys, "resume", "paint")
        == "Resumed task 'paint' on docket 'docket': 3 tasks are queued again\n"
    )
    assert (
        complaint(capsys, 1, "resume", "paint") == "task 'paint' is not paused on docket 'docket': nothing is"
    )


def test_a_whole_docket_is_paused_and_resumed(here: Office, capsys: Any) -> None:
    assert said(capsys, "pause") == "Paused all tasks on docket 'docket'\n"
    said(capsys, "pause", "trace", "--force")
    assert "\n(all tasks)  " in said(capsys, "pauses")
    line = complaint(capsys, 1, "resume", "paint")
    assert line == "task 'paint' is not paused on docket 'docket': paused are: all tasks, task 'trace'"
    assert said(capsys, "resume", "*") == "Resumed all tasks on docket 'docket': 0 tasks are queued again\n"
    assert here.ask(lambda docket: docket.pauses())[0].task == "trace"


def test_each_prints_one_object_of_json(here: Office, capsys: Any) -> None:
    made = json.loads(said(capsys, "pause", "--by", "ann", "--reason", "é", "--json"))
    listed = json.loads(said(capsys, "pauses", "--json"))
    (pause,) = listed["pauses"]
    assert made["paused"] is True
    assert made["pause"] == pause
    assert (listed["docket"], pause["task"], pause["reason"], pause["by"], pause["waiting"]) == (
        "docket", None, "é", "ann", 0,
    )  # fmt: skip
    for moment in made["at"], pause["since"]:
        at = datetime.fromisoformat(moment)
        assert at.tzinfo is not None
    resumed = json.loads(said(capsys, "resume", "--json"))
    assert {**resumed, "at": ""} == {"docket": "docket", "at": "", "task": None, "queued": 0}


def test_a_task_that_nobody_knows_is_not_paused(here: Office, capsys: Any) -> None:
    line = complaint(capsys, 1, "pause", "trac")
    assert line.startswith("no worker is alive that knows a task 'trac'")
    assert line.endswith("--force pauses it all the same")
    assert complaint(capsys, 2, "pause", "", "--force") == "the name of a task may not be empty"
    assert here.ask(lambda docket: docket.pauses()) == []


def test_through_the_console_script(here: Office) -> None:
    for tokens, out in (
        (["pause"], "Paused all tasks on docket 'docket'\n"),
        (["resume"], "Resumed all tasks on docket 'docket': 0 tasks are queued again\n"),
    ):
        with Command(*tokens) as command:
            assert command.ended() == (0, out, "")


def test_on_a_full_server_an_operator_sees_who_lives_and_may_pause_strike_and_cancel(
    here: Office, server: Server, capsys: Any
) -> None:
    here.ask(add_one_for_later)
    with here.working(), REFUSALS["OOM"](server):
        status = said(capsys, "status")
        assert (
            "\nRedis    is full: it refuses whatever needs more memory, and workers begin nothing\n" in status
        )
        assert "\nworkers  1\n" in status
        assert complaint(capsys, 1, "add", "paint", "int:1").startswith(
            "the memory of the server is full, so that it refuses what adds to it: command not allowed"
        )
        said(capsys, "pause", "paint", "--reason", "full")
        said(capsys, "strike", "paint")
        said(capsys, "cancel", "later")
        assert said(capsys, "resume", "paint").startswith("Resumed task 'paint'")


async def add_one_for_later(docket: Docket) -> None:
    await docket.add("paint", clock.now() + timedelta(hours=1), "later")(3)
