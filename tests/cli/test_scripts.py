"""The installed commands, as a shell runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import docket

BIN = Path(sys.executable).parent
VERSION = [[str(BIN / "docket"), "version"], [sys.executable, "-m", "docket", "version"]]


def shell(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", VERSION, ids=["docket", "python -m docket"])
def test_version_prints_the_bare_version(command: list[str]) -> None:
    done = shell(*command)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{docket.__version__}\n", "")


def test_asking_for_the_version_loads_neither_worker_nor_server() -> None:
    code = (
        "import sys; from docket.cli.app import docket_app, run; run(docket_app(), ['version']); "
        "print(*{'docket.worker', 'docket.transport', 'redis', 'anyio'} & set(sys.modules))"
    )
    assert shell(sys.executable, "-c", code).stdout == f"{docket.__version__}\n\n"


@pytest.mark.parametrize(
    "command",
    [
        [str(BIN / "docket-worker")],
        [str(BIN / "docket"), "worker"],
        [sys.executable, "-m", "docket", "worker"],
    ],
    ids=["docket-worker", "docket worker", "python -m docket worker"],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_status_2(command: list[str]) -> None:
    done = shell(*command, "--concurrency", "many")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("--concurrency takes a whole number from 1, not 'many'\n")
    assert done.stderr.count("\n") == 1


def test_help_names_every_variable() -> None:
    said = shell(str(BIN / "docket-worker"), "--help")
    assert said.returncode == 0
    for variable in ("DOCKET_TASKS", "DOCKET_NAME", "DOCKET_URL", "DOCKET_WORKER_BACKEND"):
        assert variable in said.stdout
