"""Measure this build: beside another one (``--base``), and beside other task queues (``--peers``).

    python -m tests.bench                                  # this build alone, one turn
    python -m tests.bench --base v0.1.0 --turns 5          # ratios to a revision, or to the checkout in a directory
    python -m tests.bench --peers all --only drain,add     # others in the same run; only the runs of these names

All take their turns one after the other, on one server that the bench starts: A B C, C B A, ... What is printed are
medians. Absolute figures say little about another machine or day; ratios within one run do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.bench.contenders import Contender, Figures, checkout, peers
from tests.bench.plan import IN_TURNS, PEERS, REACH, RUNS, SIDE_BY_SIDE, Row, Run, Table
from tests.servers import Server, binary, version

Key = tuple[str, str, str]  #: run, loop, contender
HALF = 1500.0  #: half of a rate that nobody has measured yet


@attrs.define(eq=False)
class Bench:
    """Takes the turns, and keeps the figures of each."""

    contenders: list[Contender]
    url: str
    given: argparse.Namespace
    taken: dict[Key, list[Figures]] = attrs.field(init=False, factory=dict)

    def plan(self, turn: int) -> Iterator[tuple[str, Run, str]]:
        """What is run in this turn."""
        named = [name for name in self.given.only.split(",") if name]
        for name, run in RUNS.items():
            if (named and not any(name.startswith(each) for each in named)) or turn >= (run.turns or 100):
                continue
            beside = run.beside if self.given.peers and turn < self.given.peer_turns else ()
            for loop in (*run.loops, *run.alone, *beside):
                if loop in self.given.loops.split(","):
                    yield name, run, loop

    def take(self, turn: int) -> None:
        for name, run, loop in self.plan(turn):
            for contender in self.contenders[:: 1 if turn % 2 == 0 else -1]:
                if self.takes_part(contender, run, loop):
                    self._take(contender, name, loop)

    def take_all(self, turns: int, *, others: int) -> int:
        """Take the turns for which there is time, the last contenders in the first of them only; how many it were."""
        began, everybody, longest = time.monotonic(), self.contenders, 0.0
        for turn in range(turns):
            started = time.monotonic()
            if self.given.minutes and turn and started + longest - began > 60 * self.given.minutes:
                return turn
            if turn >= self.given.peer_turns:
                self.contenders = everybody[: len(everybody) - others]
            self.take(turn)
            self.keep()
            longest = time.monotonic() - started
        return turns

    def keep(self) -> None:
        if self.given.json:
            kept = {" ".join(key): taken for key, taken in self.taken.items()}
            Path(self.given.json).write_text(json.dumps(kept, indent=1), encoding="utf-8")

    def read(self, kept: Path) -> int:
        """Take the figures of an earlier bench instead; how many turns these were."""
        for key, taken in json.loads(kept.read_text(encoding="utf-8")).items():
            run, loop, contender = key.split(" ", 2)
            self.taken[run, loop, contender] = taken
        return max(len(taken) for taken in self.taken.values())

    def takes_part(self, contender: Contender, run: Run, loop: str) -> bool:
        if contender.name == "base":
            return loop in run.loops
        return contender.source is not None or (loop == "asyncio" and contender.tasks(run) > 0)

    def _take(self, contender: Contender, name: str, loop: str) -> None:
        run = RUNS[name]
        n = max(1, contender.tasks(run) // (10 if self.given.quick else 1))
        words = run.words.format(half=self._half())
        began = time.monotonic()
        try:
            figures = contender.turn(run, loop, self.url, n, words)
        except Exception as error:  # of one contender; the others go on
            print(f"{contender.name} {name} {loop}: {error}", file=sys.stderr)
            return
        self.taken.setdefault((name, loop, contender.name), []).append(figures)
        if self.given.verbose:
            took = time.monotonic() - began
            print(f"{took:5.1f} s  {contender.name} {name} {loop} {figures}", file=sys.stderr, flush=True)

    def _half(self) -> float:
        """Half of what the first contender drains at its defaults."""
        rate = self.median("drain-10", "asyncio", self.contenders[0].name, "per_s")
        return round(rate / 2) if rate else HALF

    def figures(self, run: str, loop: str, contender: str) -> Figures:
        """The medians of a run."""
        turns = self.taken.get((run, loop, contender), [])
        return {name: statistics.median(turn[name] for turn in turns) for name in (turns[0] if turns else ())}

    def has_all_of(self, mark: str) -> bool:
        """Whether all that these tables show was measured: they are written whole, or not at all."""
        runs = {
            "reach": {row.run for row in REACH},
            "others": {run for table in SIDE_BY_SIDE for run in table.runs.values()},
            "turns": {run for table in IN_TURNS for run in table.runs.values()},
        }
        return runs[mark] <= {run for run, _, who in self.taken if who == "this"}

    def median(self, run: str, loop: str, contender: str, figure: str) -> float | None:
        return self.figures(run, loop, contender).get(figure)


def show(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def table(*rows: list[str]) -> str:
    head, *rest = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rest))


def reach(bench: Bench) -> str:
    """The table of what this build is to reach, beside its base."""
    rows = [["figure", "base", "this", "ratio", "goal", ""]]
    for row in REACH:
        base, this = (bench.median(row.run, row.loop, name, row.figure) for name in ("base", "this"))
        if this is None:
            continue
        ratio = this / base if base else None
        rows.append([row.title, show(base), show(this), show(ratio), *_goal(row, this, ratio)])
    return table(*rows) if rows[1:] else ""


def _goal(row: Row, this: float, ratio: float | None) -> list[str]:
    """The goal, and whether it is met."""
    reached = this if row.kind == "figure" else ratio
    if row.goal is None:
        return ["", ""]
    sign, of = ("≥", 1) if row.more_is_better else ("≤", -1)
    word = "" if reached is None else "met" if of * reached >= of * row.goal else "not met"
    return [f"{sign} {row.goal}", word]


Column = tuple[str, str, str]  #: its title, contender and loop

LOOPS: list[Column] = [(loop, "this", loop) for loop in ("asyncio", "uvloop", "trio")]
PYDOCKET: list[Column] = [(name, name, "asyncio") for name in ("pydocket", "pydocket tuned")]


def side_by_side(bench: Bench, planned: list[Table], columns: list[Column]) -> str:
    """Tables like those of docs/speed.md."""
    tables: list[str] = []
    for each in planned:
        rows = [[each.title, *(title for title, _, _ in columns)]]
        for title, run in each.runs.items():
            cells = [bench.figures(run, loop, who) for _, who, loop in columns]
            if any(cells):
                rows.append([title, *(each.cell.format(**cell) if cell else "" for cell in cells)])
        if rows[1:]:
            tables.append(table(*rows))
    return "\n\n".join(tables)


def queues(bench: Bench) -> str:
    """Other task queues at concurrency 50, and how far ahead of the best this is."""
    title = "concurrency 50, asyncio"
    rows = [[title, "tasks/s", "client CPU", "server CPU, drain", "server CPU, schedule to settle"]]
    taken: dict[str, Figures] = {}
    for who in ("base", "this", "pydocket tuned", *(name for name in PEERS if name != "pydocket")):
        if figures := bench.figures("drain-50", "asyncio", who):
            taken[who] = figures
            names = ("per_s", "cpu_us", "server_us", "whole_server_us")
            rows.append([who, *(show(figures[name]) for name in names)])
    others = [figures for who, figures in taken.items() if who not in ("base", "this")]
    if "this" not in taken or not others:
        return ""
    faster = taken["this"]["per_s"] / max(each["per_s"] for each in others)
    share = taken["this"]["cpu_us"] / min(each["cpu_us"] for each in others)
    least = taken["this"]["whole_server_us"] / min(each["whole_server_us"] for each in others)
    ahead = f"{faster:.1f} x the best of them in tasks/s, {share:.3f} of the least client CPU"
    return f"{table(*rows)}\n\nThis: {ahead}, {least:.2f} of the least server CPU from schedule to settle."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--base", help="a revision, or the directory of a checkout")
    parser.add_argument("--peers", default="", help="all, or some of " + ",".join(PEERS))
    parser.add_argument("--turns", type=int, help="how many; 5 with --base, else 1")
    parser.add_argument("--peer-turns", type=int, default=3, help="of others (3)")
    parser.add_argument("--minutes", type=float, help="begin no turn that would not end within these")
    parser.add_argument("--quick", action="store_true", help="a tenth of the tasks")
    parser.add_argument(
        "--only", default="", help="runs whose names begin with one of these: " + ",".join(RUNS)
    )
    parser.add_argument("--loops", default="asyncio,uvloop,trio")
    parser.add_argument(
        "--cache", default=str(Path(tempfile.gettempdir()) / "docket-bench"), help="of environments"
    )
    parser.add_argument("--json", help="write all figures of all turns there")
    parser.add_argument("--verbose", action="store_true", help="print each turn")
    parser.add_argument("--read", help="measure nothing: take what --json has written")
    parser.add_argument("--write", help="put the tables of which all is measured into this document")
    given = parser.parse_args()
    os.environ["PYTHONHASHSEED"] = "0"
    bench, turns = measured(given)
    taken = f"Medians of {turns} turns" if turns > 1 else "One turn"
    about = f"{taken}, Python {sys.version.split()[0]}, {version(binary()).partition(' sha')[0]}."
    others = side_by_side(bench, SIDE_BY_SIDE, [*LOOPS, *PYDOCKET])
    turns_taken = side_by_side(bench, IN_TURNS, [LOOPS[0], LOOPS[2]])
    tables = {"reach": reach(bench), "others": f"{others}\n\n{queues(bench)}".strip(), "turns": turns_taken}
    print("\n\n".join([about, *filter(None, tables.values())]))
    if given.write:
        for mark in filter(bench.has_all_of, tables):
            put(Path(given.write), mark, f"{about}\n\n{tables[mark]}")


def measured(given: argparse.Namespace) -> tuple[Bench, int]:
    """A bench that has its figures, and how many turns it took."""
    named = list(PEERS) if given.peers == "all" else [name for name in given.peers.split(",") if name]
    if given.read:
        bench = Bench([], "", given)
        return bench, bench.read(Path(given.read))
    with tempfile.TemporaryDirectory(prefix="docket-bench-") as scratch, Server() as server:
        ours = [checkout("base", given.base, Path(scratch))] if given.base else []
        ours.append(checkout("this", ".", Path(scratch)))
        others = peers(named, Path(given.cache))
        bench = Bench([*ours, *others], server.url, given)
        return bench, bench.take_all(given.turns or (5 if given.base else 1), others=len(others))


def put(document: Path, mark: str, text: str) -> None:
    """Put a text between ``<!-- bench MARK -->`` and the next ``<!-- end -->``."""
    before, opening, rest = document.read_text(encoding="utf-8").partition(f"<!-- bench {mark} -->\n")
    if opening:
        after = rest[rest.index("<!-- end -->") :]
        document.write_text(f"{before}{opening}\n{text}\n\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
