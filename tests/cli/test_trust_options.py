"""Options and variables about keys and serializers on a command line: what they do, and what contradicts what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from docket import Docket, ExecutionState, Worker
from docket.cli.app import docket_app, run
from docket.serializers import Json, Sealed
from tests.cli.office import Office
from tests.cli.test_commands import said
from tests.trust.traps import KEY, OTHER

OF_A_MODULE = Json(types={Path: (str, Path)})


async def greet(name: str) -> str:
    return name


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with a key that nobody else may read."""
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{KEY.replace(' ', '-')}\n")
    file.chmod(0o600)
    return str(file)


def refused(capsys: Any, *tokens: str) -> str:
    """The one line that a command is refused with, for what it was told."""
    assert run(docket_app(), tokens) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


ADD = ("add", "greet", "Ann", "--key", "k", "--force")


def test_what_is_added_runs_where_its_key_and_its_serializer_are_required(
    here: Office, file: str, capsys: Any
) -> None:
    said(capsys, *ADD, "--signing-key-file", file, "--serializer", "json")

    async def work() -> Any:
        keys = [KEY.replace(" ", "-")]
        async with Docket(url=here.url, signing_keys=keys, serializer="json", accept={"json"}) as docket:
            docket.register(greet)
            await Worker(docket).run_until_finished()
            execution = await docket.get_execution("k")
            return execution and await execution.get_result()

    assert here.portal.call(work) == "Ann"


@pytest.mark.parametrize("by", ["option", "variable"])
def test_what_is_added_is_sealed_with_the_keys_of_a_file(
    here: Office, file: str, by: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "variable":
        monkeypatch.setenv("DOCKET_SEALING_KEYS_FILE", file)
    keys = ["--sealing-key-file", file] if by == "option" else []
    said(capsys, *ADD, *keys, "--serializer", "sealed:json", "--accept", "sealed:json")
    sealed = Sealed("json", keys=[KEY.replace(" ", "-")])
    assert f"\nwritten: sealed:json with {sealed.key_ids[0]}\n" in said(capsys, "show", "k")

    async def work() -> Any:
        async with Docket(url=here.url, serializer=sealed, accept={sealed}) as docket:
            docket.register(greet)
            await Worker(docket).run_until_finished()
            execution = await docket.get_execution("k")
            return execution and await execution.get_result()

    assert here.portal.call(work) == "Ann"


def test_require_beside_a_command_that_does_not_sign_sets_aside_what_it_adds(
    here: Office, capsys: Any
) -> None:
    said(capsys, *ADD)

    async def work() -> tuple[ExecutionState | None, str]:
        async with Docket(url=here.url, signing_keys=[KEY]) as docket:
            docket.register(greet)
            await Worker(docket).run_until_finished()
            execution, (letters, _) = await docket.get_execution("k"), await docket.dead_letters()
            return execution and execution.state, letters[0].reason

    state, reason = here.portal.call(work)
    assert state is ExecutionState.FAILED
    assert reason.endswith("is not signed, and signatures are required (signatures='require')")


@pytest.mark.parametrize(
    ("tokens", "variables", "message"),
    [
        (("--signing-key-file", "/no/such"), {}, "--signing-key-file: the file cannot be read"),
        ((), {"DOCKET_SIGNING_KEYS_FILE": "/no/such"}, "variable DOCKET_SIGNING_KEYS_FILE: the file cannot be read"),
        (("--signing-key-file", "FILE"), {"DOCKET_SIGNING_KEYS": OTHER.replace(" ", "-")},
         "--signing-key-file and the variable DOCKET_SIGNING_KEYS both have keys"),
        (("--signing-key-file", "FILE"), {"DOCKET_SIGNING_KEYS_FILE": "other"},
         "--signing-key-file and the variable DOCKET_SIGNING_KEYS_FILE both have keys"),
        (("--signatures", "accept"), {}, "--signatures accept needs keys to check signatures with: --signing-key-file"),
        (("--signatures", "accept", "--signing-key-file", "FILE"), {"DOCKET_SIGNATURES": "require"},
         "--signatures accept and the variable DOCKET_SIGNATURES=require contradict each other"),
        (("--signatures", "maybe"), {}, "--signatures takes require or accept, not 'maybe'"),
        (("--serializer", "jsn"), {}, "--serializer takes pickle, json, sealed:json, sealed:pickle, or "),
        ((), {"DOCKET_SERIALIZER": "jsn"}, "DOCKET_SERIALIZER takes pickle, json,"),
        (("--serializer", "json", "--accept", "pickle"), {}, "--serializer and --accept: accept has 'pickle', and"),
        (("--accept", "json"), {}, "--accept: accept has 'json', and this docket writes 'pickle'"),
        (("--serializer", "sealed:json"), {}, "--serializer: what is sealed needs keys, by the variable"),
        (("--sealing-key-file", "FILE"), {}, "--sealing-key-file has keys for what seals, as --serializer sealed:json"),
        (("--serializer", "sealed:json", "--sealing-key-file", "/no/such"), {},
         "--sealing-key-file: the file cannot be read"),
        (("--serializer", "sealed:json", "--sealing-key-file", "FILE"), {"DOCKET_SEALING_KEYS": "k" * 32},
         "--sealing-key-file and the variable DOCKET_SEALING_KEYS both have keys"),
        (("--serializer", "no.such:codec"), {}, "--serializer no.such:codec: there is no module 'no'"),
        (("--serializer", "tests.trust.traps:KEY"), {}, "not 'tests.trust.traps:KEY'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "command", [ADD, ("status",), ("strike", "greet"), ("web", "--port", "0")], ids=lambda c: c[0]
)
def test_what_makes_no_sense_is_refused_in_one_line_by_its_name(
    command: tuple[str, ...],
    tokens: tuple[str, ...],
    variables: dict[str, str],
    message: str,
    file: str,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    given = [file if token == "FILE" else token for token in tokens]
    assert message in refused(capsys, *command, *given)


#: The options that name a file of keys, and what makes use of these.
KEY_FILES = {"--signing-key-file": (), "--sealing-key-file": ("--serializer", "sealed:json")}


@pytest.mark.parametrize("option", KEY_FILES)
@pytest.mark.parametrize(("text", "message"), [("", "there is no key in"), ("short\n", "5 bytes, and")])
def test_a_file_without_a_good_key_is_refused(
    tmp_path: Path, option: str, text: str, message: str, capsys: Any
) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    file.chmod(0o600)
    line = refused(capsys, "status", option, str(file), *KEY_FILES[option])
    assert option in line
    assert message in line


@pytest.mark.skipif(os.name != "posix", reason="files have no permissions there")
@pytest.mark.parametrize("by", ["option", "variable"])
@pytest.mark.parametrize(
    ("option", "variable"),
    [("--signing-key-file", "DOCKET_SIGNING_KEYS_FILE"), ("--sealing-key-file", "DOCKET_SEALING_KEYS_FILE")],
)
def test_a_file_that_others_may_read_is_taken_with_one_warning(
    here: Office,
    file: str,
    option: str,
    variable: str,
    by: str,
    capsys: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(file).chmod(0o644)
    if by == "variable":
        monkeypatch.setenv(variable, file)
    said(capsys, "status", *([option, file] if by == "option" else []), *KEY_FILES[option])
    (line,) = caplog.messages
    assert line.endswith(f"{file} may be read by every user of this machine: chmod o-r")


def test_a_serializer_of_ones_own_is_named_by_its_module(here: Office, capsys: Any) -> None:
    said(capsys, *ADD, "--serializer", f"{__name__}:OF_A_MODULE", "--accept", f"{__name__}:OF_A_MODULE")
    assert "\nwritten: json\n" in said(capsys, "show", "k")


def test_a_worker_needs_keys_for_an_age_of_signatures(capsys: Any) -> None:
    line = refused(capsys, "worker", "--url", "memory://age", "--signature-max-age", "1h")
    assert "--signature-max-age 1:00:00 needs keys to check signatures with" in line
