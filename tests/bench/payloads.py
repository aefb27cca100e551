"""What signatures and JSON cost a task, beside plain pickles, and what these cost beside an earlier build.

    python -m tests.bench.payloads                   # in one run, as ratios to a docket that has nothing set
    python -m tests.bench.payloads --base 835bb51    # and a docket that has nothing set beside that revision

A task has three plain arguments and returns one of them, which its program awaits. Instructions are callgrind's (it
knows no instructions for SHA-256, so a signature counts several times what it takes); commands the server's own count;
microseconds those of single steps, which take turns in one process. ``--loop`` takes one loop, else asyncio.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.bench.contenders import checkout
from tests.bench.counts import Figures, ask, counted, has_callgrind, instructions

SETTINGS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "signed": ("--signed",),
    "json": ("--serializer", "json"),
    "json, signed": ("--serializer", "json", "--signed"),
}
STEPS = {"add": "to add it", "three": "take to settle", "get_result": "to await its result"}
TURNS = 600


def of_instructions(loop: str, base: str | None) -> dict[str, Figures]:
    """Thousands of instructions of each step, by kind of docket."""
    found = {kind: instructions(loop, "three", *given) for kind, given in SETTINGS.items()}
    if base:
        with tempfile.TemporaryDirectory(prefix="docket-bench-") as scratch:
            source = checkout("base", base, Path(scratch)).source
            assert source is not None
            found["base"] = instructions(loop, "three", source=source)
    return found


def instruction_lines(found: dict[str, Figures]) -> list[str]:
    """A table: a kind, its steps, and all three beside those of the plain one (of the base: the plain one to it)."""
    lines = ["| thousand instructions | " + " | ".join(STEPS.values()) + " | all | ratio |"]
    lines.append("|---|" + "---|" * (len(STEPS) + 2))
    whole = {kind: sum(figures[step] for step in STEPS) for kind, figures in found.items()}
    for kind, figures in found.items():
        ratio = whole["plain"] / whole[kind] if kind == "base" else whole[kind] / whole["plain"]
        cells = [*(figures[step] for step in STEPS), whole[kind]]
        lines.append(f"| {kind} | {' | '.join(f'{cell:.0f}' for cell in cells)} | {ratio:.3f} |")
    return lines


def command_lines(loop: str) -> list[str]:
    lines = ["| the server's commands | to add it | take to settle |", "|---|---|---|"]
    for kind, given in SETTINGS.items():
        figures = counted(loop, *given)
        lines.append(f"| {kind} | {figures['add, commands']:.2f} | {figures['run, commands']:.2f} |")
    return lines


def microsecond_lines() -> list[str]:
    figures = ask(["payloads.py", "--n", str(TURNS)])
    steps = [name.partition(": ")[2] for name in figures if name.startswith("plain: ")]
    lines = ["| µs | " + " | ".join(steps) + " | all |", "|---|" + "---|" * (len(steps) + 1)]
    for kind in SETTINGS:
        taken = [figures[f"{kind}: {step}"] for step in steps]
        lines.append(f"| {kind} | {' | '.join(f'{each:.2f}' for each in [*taken, sum(taken)])} |")
    more = [figures[f"signed: {step}"] - figures[f"plain: {step}"] for step in steps]
    lines.append(f"| what signing adds | {' | '.join(f'{each:.2f}' for each in [*more, sum(more)])} |")
    return [*lines, "", f"One HMAC-SHA256 by hashlib, without all else: {figures['hmac']:.2f} µs."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--base", help="a revision, or the directory of a checkout")
    parser.add_argument("--loop", default="asyncio", choices=("asyncio", "trio"))
    given = parser.parse_args()
    print("\n".join([*microsecond_lines(), "", *command_lines(given.loop)]), flush=True)
    if has_callgrind():
        print("\n".join(["", *instruction_lines(of_instructions(given.loop, given.base))]))


if __name__ == "__main__":
    main()
