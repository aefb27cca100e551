"""What a task costs in counts that no machine changes, and what CI expects of them (`expected.json`).

    python -m tests.bench.counts            # counts, and compares
    python -m tests.bench.counts --write    # counts, and expects that from now on
    python -m tests.bench.counts --kinds noop,fail    # thousand instructions of these kinds of tasks, and no more

Commands, sends and bytes are the server's own count. Instructions are callgrind's, where valgrind is installed, in
steps of plain Python that are counted in the same run (`calibrate`): how an interpreter was built changes both alike.
Versions of Python do not, so `expected.json` has instructions for each that somebody has counted, and no others are
compared.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers import Server

__all__ = ["TOLERANCE", "ask", "counted", "differences", "expected", "has_callgrind", "instructions"]

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.json"
SCENARIOS = HERE / "scenarios"
LOOPS = ("asyncio", "trio")
TOLERANCE = 0.05
COUNTS = ("commands", "sends", "bytes_sent", "bytes_received")

Figures = dict[str, float]


def ask(words: list[str], *, under: tuple[str, ...] = (), source: Path = HERE.parent.parent) -> Figures:
    """What a scenario prints."""
    environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": str(source)}
    command = [*under, sys.executable, str(SCENARIOS / words[0]), *words[1:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def counted(loop: str, *settings: str) -> Figures:
    """What a task takes from the server, from take to settle, and what adding one takes; with options of `meter`."""
    with Server() as server:
        given = [*settings, "--url", server.url, "--loop", loop, "--n"]
        ask(["drain.py", *given, "20"])  # loads the scripts
        run, add = ask(["drain.py", *given, "2000"]), ask(["add.py", *given, "1000"])
    return {f"run, {name}": run[name] for name in COUNTS} | {f"add, {name}": add[name] for name in COUNTS}


def has_callgrind() -> bool:
    return all(shutil.which(program) for program in ("valgrind", "vgdb"))


def instructions(
    loop: str, kinds: str = "noop", *settings: str, source: Path = HERE.parent.parent
) -> Figures:
    """Thousands of instructions per task of each kind, per added task, and of the calibration's step.

    With options of `meter`; of the checkout in ``source``.
    """
    with Server() as server, tempfile.TemporaryDirectory(prefix="docket-callgrind-") as there:
        output = f"{there}/counted"
        valgrind = (
            "valgrind",
            "-q",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={output}",
        )
        words = ["instructions.py", "--url", server.url, "--loop", loop, "--kinds", kinds, "--output", output]
        figures = ask([*words, *settings], under=valgrind, source=source)
        return {name: value / 1000 for name, value in figures.items()}


def steps(figures: Figures) -> Figures:
    """Instructions in steps of the calibration."""
    step = figures["calibration"]
    return {name: value / step for name, value in figures.items() if name != "calibration"}


def python() -> str:
    """What instructions are compared by: they differ between versions of Python."""
    return f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"


def expected() -> dict[str, dict[str, Figures]]:
    """Figures by ``counts`` or a version of Python, and by loop."""
    return json.loads(EXPECTED.read_text(encoding="utf-8"))


def differences(found: Figures, wanted: Figures) -> list[str]:
    """What is not within 5 % of what is expected, in words."""
    return [
        f"{name}: {found[name]:.2f}, expected {value:.2f} ({found[name] / value - 1:+.1%})"
        for name, value in wanted.items()
        if abs(found[name] - value) > TOLERANCE * value
    ]


def main() -> None:
    if "--kinds" in sys.argv:
        kinds = sys.argv[sys.argv.index("--kinds") + 1]
        for loop in LOOPS:
            print(loop, json.dumps(instructions(loop, kinds)))
        return
    found = {"counts": {loop: counted(loop) for loop in LOOPS}}
    if has_callgrind():
        raw = {loop: instructions(loop) for loop in LOOPS}
        print("thousand instructions:", json.dumps(raw))
        found[python()] = {loop: steps(figures) for loop, figures in raw.items()}
    print(json.dumps(found, indent=1))
    kept = expected() if EXPECTED.exists() else {}
    if "--write" in sys.argv:
        rounded = {
            what: {
                loop: {name: round(value, 3) for name, value in figures.items()}
                for loop, figures in loops.items()
            }
            for what, loops in found.items()
        }
        EXPECTED.write_text(json.dumps(kept | rounded, indent=1) + "\n", encoding="utf-8")
        return
    for what, loops in found.items():
        for loop, figures in loops.items():
            for line in differences(figures, kept.get(what, {}).get(loop, {})):
                print(f"{what}, {loop}: {line}")


if __name__ == "__main__":
    main()
