"""What a shell offers where somebody types ``docket``."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from docket.cli.app import docket_app, run

SCRIPT = r"""
source /dev/stdin
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_docket
printf '%s\n' "${COMPREPLY[@]}"
"""


def offered(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What bash offers for the last of some words."""
    assert run(docket_app(), ["completion", "bash"]) == 0
    script = capsys.readouterr().out
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-c", SCRIPT, "bash", "docket", *words],
        input=script,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_bash_completes_commands_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert offered(capsys, "sn") == ["snapshot"]
    assert offered(capsys, "workers", "f") == ["for-task"]
    assert "--exit-status" in offered(capsys, "watch", "--e")


@pytest.mark.parametrize(("shell", "first"), [("zsh", "#compdef docket"), ("fish", "complete -c docket")])
def test_others_get_a_script_of_their_own(shell: str, first: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(docket_app(), ["completion", shell]) == 0
    assert first in capsys.readouterr().out


def test_which_shells_there_are_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(docket_app(), ["completion", "cmd"]) == 2
    assert "SHELL takes bash, zsh or fish, not 'cmd'" in capsys.readouterr().err
