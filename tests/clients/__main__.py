"""``python -m tests.clients [--work FOLDER] [--prefect CHECKOUT] [installing|fastmcp|prefect ...]``

Fails where a program does on this what it does not on pydocket, but for the differences that are listed and explained
in docs/from-pydocket.md. Needs uv, git and pip; the tests of Prefect are in its repository alone, not in its source
distribution: ``--prefect`` names a clone of it where it cannot be cloned from here. Give it the machine: a fixture of
Prefect's gives its server 20 s to start, and hangs where that is not enough.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.clients.environments import Environment, run, wheels
from tests.clients.installing import walk
from tests.clients.programs import FASTMCP, PREFECT, Program, compare, environments
from tests.servers import Server, free_port

HERE = Path(__file__).parent
PARTS = ("installing", "fastmcp", "prefect")

#: Tests that replace what is inside of pydocket, and so do not reach what runs here: each with the reason.
EXPECTED = {
    "tests.tasks.server.test_task_methods::test_worker_keeps_running_after_cancel_before_task_starts": (
        "waits in a replacement of Execution.claim, which pydocket's worker calls; ours claims by itself"
    )
}


def last_line(text: str) -> dict[str, object]:
    return json.loads(text.strip().rpartition("\n")[2])


def drive(program: Program, env: Environment, url: str, home: Path) -> dict[str, object]:
    """What a client of a server of the program saw."""
    where = [url] if program is FASTMCP else [url, str(free_port()), home]
    return last_line(run(env.python, "-P", HERE / f"drive_{program.name}.py", *where))


def driven(program: Program, work: Path, on: dict[str, Environment]) -> bool:
    alike = True
    for kind in ("memory", "redis"):
        saw = {}
        for name, env in on.items():
            with Server() as server:
                url = server.url if kind == "redis" else "memory://clients"
                with tempfile.TemporaryDirectory(dir=work) as home:
                    saw[name] = drive(program, env, url, Path(home))
        print(f"{program.name} driven on {kind}: {json.dumps(saw['anydocket'])}")
        if saw["pydocket"] != saw["anydocket"]:
            print(f"  on pydocket: {json.dumps(saw['pydocket'])}")
            alike = False
    return alike


def compared(program: Program, work: Path, on: dict[str, Environment], checkout: Path | None) -> bool:
    comparison = compare(program, work, on, checkout)
    print(f"{program.name} {program.version}, its own tests:")
    print(f"  on pydocket: {dict(comparison.pydocket)}")
    print(f"  on this:     {dict(comparison.ours)}")
    surprises = 0
    for test, theirs, ours in comparison.differences:
        surprises += test not in EXPECTED and ours != "passed"
        print(
            f"  {test}: {theirs} on pydocket, {ours} here{': ' + EXPECTED[test] if test in EXPECTED else ''}"
        )
    return not surprises


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.clients")
    options.add_argument("parts", nargs="*", metavar="|".join(PARTS))
    options.add_argument("--work", type=Path, help="where environments are made and reports are left")
    options.add_argument("--prefect", type=Path, help="a clone of Prefect's repository")
    asked = options.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        options.error(f"no such part: {', '.join(sorted(unknown))}")
    work = asked.work or Path(tempfile.mkdtemp(prefix="docket-clients-"))
    work.mkdir(parents=True, exist_ok=True)
    parts = asked.parts or PARTS
    well = True
    if "installing" in parts:
        well &= all(outcome == "ok" for outcome in walk(work).values())
    for program, checkout in ((FASTMCP, None), (PREFECT, asked.prefect)):
        if program.name in parts:
            on = environments(program, work, *wheels(work / "wheels"))
            well &= driven(program, work, on)
            well &= compared(program, work, on, checkout)
    print(f"reports: {work}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
