"""The examples run as they are, without a server."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.house.tree import ROOT

pytestmark = pytest.mark.slow


def run(example: str, *options: str) -> str:
    program = [sys.executable, str(ROOT / "examples" / example), *options]
    return subprocess.run(program, check=True, capture_output=True, text=True, timeout=300).stdout


def test_the_quickstart_greets_now_and_later() -> None:
    said = run("quickstart.py").splitlines()
    assert [line.partition(" at ")[0] for line in said] == ["Hello, Jane", "Howdy, John", "Jane was greeted"]


def test_find_and_flood_finds_three_times_and_floods() -> None:
    said = run("find_and_flood.py").splitlines()
    assert said.count("queued 5 orders") == 3
    assert {line for line in said if "is done" in line} == {f"  order {n} is done" for n in range(1, 16)}


def test_the_standard_library_is_indexed() -> None:
    lines = run("index_stdlib.py", "--backend", "trio", "--workers", "3").splitlines()
    assert len(lines) <= 24
    assert [line for line in lines if len(line) > 80 or "…" in line.partition("  ")[2][:40]] == []
    heading = next(number for number, line in enumerate(lines) if "The ten largest packages" in line)
    assert any("encodings" in line for line in lines[heading:])
    counted = re.match(r"(\d+) modules in (\d+) packages: ", lines[-2])
    assert counted is not None
    assert int(counted[1]) > int(counted[2]) > 100
    assert re.fullmatch(r"2,000 tasks that do nothing: [\d.]+ s, [\d,]+ tasks/s", lines[-1])


def test_the_standard_library_is_indexed_by_task_groups_on_a_worker_of_one() -> None:
    lines = run("task_groups.py", "--workers", "1", "--concurrency", "1").splitlines()
    assert any("encodings" in line for line in lines)
    assert re.match(r"\d+ modules in \d+ packages: ", lines[-1])


def test_its_bars_move_while_it_runs() -> None:
    """At a terminal; on ``memory://`` those who follow share the loop with the workers."""
    ours, theirs = pty.openpty()
    program = [sys.executable, str(ROOT / "examples" / "index_stdlib.py")]
    with subprocess.Popen(program, stdout=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "80"}):
        os.close(theirs)
        seen = b""
        with suppress(OSError):
            while part := os.read(ours, 4096):
                seen += part
    os.close(ours)
    shown = {int(done) for done, total in re.findall(rb"(\d+)/(\d+)", seen) if int(total) > 300}
    assert len(shown) > 5
    assert max(shown) > 300


#: A command line, and the line that it ends with.
MISTAKES = [
    (["index_stdlib.py", "--workers", "0"], "Must be >= 1"),
    (["index_stdlib.py", "--url", "http://here"], "Bad server URL"),
    (["quickstart.py", "--backend", "curio"], "invalid choice: 'curio'"),
]


@pytest.mark.parametrize(("words", "line"), MISTAKES)
def test_a_mistake_is_named_without_a_traceback(words: list[str], line: str) -> None:
    done = failing(*words)
    assert line in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("example", ["quickstart.py", "find_and_flood.py", "index_stdlib.py"])
def test_each_names_the_package_of_an_event_loop_that_is_not_installed(example: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *args: None if name == 'trio' else find(name, *args)\n"
    )
    done = failing(example, "--backend", "trio", path=tmp_path)
    assert done.stderr == "--backend trio needs trio: pip install trio\n"


def failing(example: str, *options: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(ROOT / "examples" / example), *options]
    paths = os.pathsep.join(map(str, filter(None, [path, os.environ.get("PYTHONPATH")])))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode != 0
    return done
