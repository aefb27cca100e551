"""The bench runs: a few tasks of a few runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.plan import IN_TURNS


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


def test_a_table_is_written_if_all_of_it_was_measured(tmp_path: Path) -> None:
    document, figures = tmp_path / "speed.md", tmp_path / "figures.json"
    runs = [run for table in IN_TURNS for run in table.runs.values()]
    kept = {f"{run} asyncio this": [{"last": 1001, "commands": 22.9}] for run in runs}
    kept["sleep asyncio this"] = [{"per_s": 480}]
    figures.write_text(json.dumps(kept))
    document.write_text("<!-- bench others -->\nold\n<!-- end -->\n<!-- bench turns -->\nold\n<!-- end -->\n")
    words = ["--read", str(figures), "--write", str(document)]
    subprocess.run([sys.executable, "-m", "tests.bench", *words], check=True, stdout=subprocess.DEVNULL)
    others, turns = document.read_text().split("<!-- end -->\n")[:2]
    assert others == "<!-- bench others -->\nold\n"
    assert "| in turns | 1,001 / 22.9 |" in turns
