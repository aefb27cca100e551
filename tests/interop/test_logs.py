"""The worker's log lines are those of pydocket's worker in the same scenes: level, logger, text, traceback or none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Server

from .table import environment

HERE = Path(__file__).parent

SCENES = [
    "the tasks are listed", "it completes", "arguments are shown", "it is late", "it was scheduled", "it fails",
    "it fails again", "it recovers", "it repeats itself", "it repeats its failure", "it cancels itself",
    "its dependencies fail", "it is replaced while it retries", "it is replaced while it repeats",
    "it was superseded", "it was cancelled", "it is struck", "it is restored",
    "it is cancelled while it runs",
]  # fmt: skip

Lines = dict[str, list[Any]]


def started(python: str, url: str, docket: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, str(HERE / "log_scenes.py"), url, docket],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(PYTHONPATH=str(HERE.parents[1])) if python == sys.executable else environment(),
    )  # fmt: skip


def read(playing: subprocess.Popen[str]) -> Lines:
    output, errors = playing.communicate(timeout=60)
    assert playing.returncode == 0, errors
    return dict(json.loads(line) for line in output.splitlines())


@pytest.fixture(scope="session")
def said(server: Server, pydocket_python: str) -> tuple[Lines, Lines]:
    """What pydocket's worker and ours have said, by scene."""
    theirs = started(pydocket_python, server.url, "scenes-of-pydocket")
    ours = started(sys.executable, server.url, "scenes-of-ours")
    return read(theirs), read(ours)


def comparable(scene: str, lines: list[Any]) -> list[Any]:
    """The lines without what is of the moment, and without the list of tasks where that is not the scene.

    Ours alone say that a worker has stopped and what waited and was cancelled, and a failed attempt that is repeated is
    a WARNING of ours, and an ERROR of pydocket's.
    """
    return [
        [
            "ERROR" if error and logger == "docket.dependencies" else level,
            logger,
            re.sub(r"\[ *-?\d+ms\]", "[<ms>]", text),
            error,
        ]
        for level, logger, text, error in lines
        if scene == "the tasks are listed" or not re.match(r"\* |Starting worker", text)
        if not re.fullmatch(r"Worker .* stopped|Cancelled waiting task .*", text)
        if not text.startswith("Shutdown requested")  # said while the last task is being settled, or not
    ]


@pytest.mark.parametrize("scene", SCENES)
def test_both_say_the_same(said: tuple[Lines, Lines], scene: str) -> None:
    theirs, ours = (comparable(scene, lines[scene]) for lines in said)
    assert theirs
    assert ours == theirs


def test_every_scene_is_compared(said: tuple[Lines, Lines]) -> None:
    assert list(said[0]) == list(said[1]) == SCENES


def test_a_line_of_ours_is_as_wide(said: tuple[Lines, Lines]) -> None:
    begins = [text for _, _, text, _ in said[1]["it completes"] if text.startswith("↪")]
    assert re.fullmatch(r"↪ \[ {,5}\d+ms\] plain\(\.\.\.\)\{k1\}", begins[0])
    assert len(begins[0].partition("]")[0]) == len("↪ [    25ms")
