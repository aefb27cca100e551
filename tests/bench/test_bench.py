"""The bench runs: a few tasks of a few runs."""

from __future__ import annotations

import subprocess
import sys


def test_the_bench_prints_a_table_of_what_it_measured() -> None:
    words = ["--quick", "--base", ".", "--turns", "1", "--only", "drain-10,idle", "--loops", "asyncio"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", *words], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    lines = {line.split(" | ")[0].strip("| "): line for line in done.stdout.splitlines()}
    assert "client CPU, concurrency 10, asyncio" in lines
    assert "≤ 9" in lines["server commands, take to settle"]
    assert "idle worker, server calls per second" in lines
