"""``docket add``."""

from __future__ import annotations

import uuid
from typing import Any

import anyio
import pytest

from docket import Docket
from tests.cli.office import Office
from tests.cli.test_commands import BACKENDS, complaint, said, words_of


@BACKENDS
def test_a_call_of_a_task_that_only_its_worker_has_is_added(here: Office, backend: str, capsys: Any) -> None:
    with here.working():
        assert (
            said(capsys, "add", "paint", "int:4", "--key", "k", "--backend", backend)
            == "Added paint task 'k' to docket 'docket'\n"
        )
        for gate in here.gates.values():
            gate.set()

        async def result(docket: Docket) -> Any:
            execution = await docket.get_execution("k")
            assert execution is not None
            return await execution.get_result()

        assert here.ask(result) is None


@pytest.mark.parametrize(
    ("tokens", "args", "kwargs"),
    [
        ([], (), {}),
        (["walls"], ("walls",), {}),
        (["int:-2", "-x", ":a=b", "=c"], (-2, "-x", "a=b", "=c"), {}),
        (["int:1", "colour=red", "more=none:"], (1,), {"colour": "red", "more": None}),
        (["of=uuid.UUID:" + "0" * 32, "url=:http://x"], (), {"of": uuid.UUID(int=0), "url": "http://x"}),
    ],
    ids=words_of,
)
def test_arguments_are_values_with_or_without_a_name(
    here: Office, tokens: list[str], args: Any, kwargs: Any, capsys: Any
) -> None:
    said(capsys, "add", "anything", *tokens, "--force", "--key", "k")
    added = here.ask(lambda docket: docket.get_execution("k"))
    assert added is not None
    assert (added.args, added.kwargs) == (args, kwargs)


def test_a_delay_makes_it_due_later(here: Office, capsys: Any) -> None:
    said(capsys, "add", "anything", "--delay", "1h", "--force", "--key", "k")
    added = here.ask(lambda docket: docket.get_execution("k"))
    assert added is not None
    assert added.state == "scheduled"


def test_a_task_that_nobody_knows_is_refused_with_what_may_be_meant(here: Office, capsys: Any) -> None:
    with here.working():
        text = complaint(capsys, 1, "add", "pain")
    assert text.endswith("(did you mean 'paint'?); --force adds it all the same")


def test_a_key_that_is_taken_is_refused(here: Office, capsys: Any) -> None:
    said(capsys, "add", "anything", "--force", "--key", "k")
    text = complaint(capsys, 1, "add", "anything", "--key", "k")
    assert text == "nothing was added: task 'k' waits or runs on docket 'docket' already"


def test_a_key_that_runs_runs_once_more(here: Office, capsys: Any) -> None:
    async def paints(docket: Docket) -> None:
        while (found := await docket.get_execution("k")) is None or found.state != "running":
            await anyio.sleep(0.01)

    with here.working():
        said(capsys, "add", "paint", "int:4", "--key", "k")
        here.ask(paints)
        text = said(capsys, "add", "paint", "int:5", "--key", "k", "--if-running", "once-more")
        assert text == "Added paint task 'k' to docket 'docket', to run once more after its run\n"
        assert "once more: paint(...){k}" in said(capsys, "show", "k")
        assert "runs once more" in said(capsys, "snapshot")
        for gate in here.gates.values():
            gate.set()


def test_a_call_that_is_struck_is_not_said_to_be_added(here: Office, capsys: Any) -> None:
    here.ask(lambda docket: docket.strike("paint", "walls", "==", 4))
    assert "forbids this call of 'paint'" in complaint(capsys, 1, "add", "paint", "walls=int:4", "--force")


def test_so_is_one_whose_argument_has_its_name_from_a_worker(here: Office, capsys: Any) -> None:
    with here.working():
        here.ask(described)
        here.ask(lambda docket: docket.strike("paint", "walls", "==", 4))
        assert "forbids this call of 'paint'" in complaint(capsys, 1, "add", "paint", "int:4")
        assert said(capsys, "add", "paint", "int:3").startswith("Added paint task")
        assert said(capsys, "add", "paint", "int:4", "int:4").startswith(
            "Added paint task"
        )  # fits no signature


async def described(docket: Docket) -> None:
    """Wait until a worker has told of its tasks, which it tells nobody."""
    while (known := await docket.known_task("paint")) is None or known.description is None:
        await anyio.sleep(0.01)


@pytest.mark.parametrize(
    ("tokens", "takes"),
    [
        (["a=b", "c"], "ARGUMENT 'c': one without a name stands before those with one"),
        (["a=b", "a=c"], "ARGUMENT 'a=c': a is given twice"),
        (["int:x"], "VALUE: 'x' is no int"),
        (["--delay", "-5"], "--delay takes a duration from zero"),
        (["--key", ""], "key"),
        (["--if-running", "queue"], "--if-running takes"),
        (["--if-running", "once-more"], "needs a key"),
    ],
    ids=words_of,
)
def test_a_mistake_is_named(here: Office, tokens: list[str], takes: str, capsys: Any) -> None:
    assert takes in complaint(capsys, 2, "add", "anything", "--force", *tokens)
    assert here.ask(lambda docket: docket.snapshot()).total_tasks == 0
