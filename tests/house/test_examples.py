"""The examples run as they are, without a server."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.house.tree import ROOT

pytestmark = pytest.mark.slow


def run(example: str, *options: str) -> str:
    program = [sys.executable, str(ROOT / "examples" / example), *options]
    return subprocess.run(program, check=True, capture_output=True, text=True, timeout=120).stdout


def test_the_quickstart_greets_now_and_later() -> None:
    said = run("quickstart.py").splitlines()
    assert [line.partition(" at ")[0] for line in said] == ["Hello, Jane", "Howdy, John", "Jane was greeted"]


def test_find_and_flood_finds_three_times_and_floods() -> None:
    said = run("find_and_flood.py").splitlines()
    assert said.count("queued 5 orders") == 3
    assert {line for line in said if "is done" in line} == {f"  order {n} is done" for n in range(1, 16)}


@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_the_standard_library_is_indexed(backend: str) -> None:
    said = run("index_stdlib.py", "--backend", backend, "--workers", "3")
    assert "The ten largest packages" in said
    assert "encodings" in said
    counted = re.search(r"(\d+) modules in (\d+) packages", said)
    assert counted is not None
    assert int(counted[1]) > int(counted[2]) > 100
