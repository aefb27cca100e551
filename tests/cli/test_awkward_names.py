"""What a shell may hand over that no key can hold: bytes that are no UTF-8, which Python shows as lone surrogates."""

from __future__ import annotations

import os
import subprocess

import pytest

from docket.cli.app import docket_app, run
from tests.cli.office import BIN
from tests.where import slow

pytestmark = slow

BAD = b"caf\xe9"
SAID = "'caf\\udce9' has a character that UTF-8 cannot hold ('\\udce9', at 3)"
URL = b"redis://localhost:1/0"

COMMANDS: list[tuple[list[bytes], str]] = [
    ([b"snapshot", b"--docket", BAD, b"--url", URL], f"docket: the name of a docket {SAID}"),
    ([b"workers", b"ls", b"--docket", BAD, b"--url", URL], f"docket: the name of a docket {SAID}"),
    ([b"workers", b"for-task", BAD, b"--url", URL], f"docket: the name of a task {SAID}"),
    ([b"watch", BAD, b"--url", URL], f"docket: a task key {SAID}"),
    ([b"clear", b"--docket", BAD, b"--url", URL], f"docket: the name of a docket {SAID}"),
    ([b"strike", BAD, b"--url", URL], f"docket: the function of a strike {SAID}"),
    ([b"restore", b"f", BAD, b"==", b"1", b"--url", URL], f"docket: the parameter of a strike {SAID}"),
]
WORKERS: list[tuple[list[bytes], str]] = [
    ([b"worker", b"--name", BAD, b"--url", URL], f"docket: the name of a worker {SAID}"),
    ([b"worker", b"--docket", BAD, b"--url", URL], f"docket: the name of a docket {SAID}"),
    (
        [b"worker", b"--url", b"redis://" + BAD],
        "docket: --url takes the URL of a server: Bad redis:// URL: 'caf\\udce9' cannot be the name of a host",
    ),
]
VARIABLES = [
    ("DOCKET_NAME", f"docket: the name of a docket {SAID}"),
    ("DOCKET_WORKER_NAME", f"docket: the name of a worker {SAID}"),
]


def ids(commands: list[tuple[list[bytes], str]]) -> list[str]:
    return [b" ".join(words[:2]).decode("ascii", "replace") for words, _ in commands]


@pytest.mark.parametrize(("words", "said"), COMMANDS, ids=ids(COMMANDS))
def test_a_name_that_no_key_can_hold_is_refused_in_one_line(
    words: list[bytes], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(docket_app(), [os.fsdecode(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", [said])


@pytest.mark.parametrize(("words", "said"), WORKERS, ids=ids(WORKERS))
def test_so_it_is_by_a_worker_which_a_shell_starts(words: list[bytes], said: str) -> None:
    ended = subprocess.run([os.fsencode(BIN / "docket"), *words], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.decode().splitlines() == [said]


@pytest.mark.parametrize(("variable", "said"), VARIABLES)
def test_the_same_from_the_environment(variable: str, said: str) -> None:
    environment = {**os.environb, variable.encode(): BAD}
    words = [os.fsencode(BIN / "docket"), b"worker", b"--url", URL]
    ended = subprocess.run(words, capture_output=True, check=False, env=environment)
    assert ended.returncode == 2
    assert ended.stderr.decode().splitlines()[-1] == said
