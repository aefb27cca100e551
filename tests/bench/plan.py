"""What is measured: the runs that each contender makes, and the rows that are made of their figures."""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["IN_TURNS", "PEERS", "REACH", "RUNS", "SIDE_BY_SIDE", "Row", "Run", "Table"]

Loops = tuple[str, ...]

ASYNCIO: Loops = ("asyncio",)
TWO: Loops = ("asyncio", "trio")
THREE: Loops = ("asyncio", "uvloop", "trio")


@attrs.frozen(kw_only=True)
class Run:
    """A scenario and its words. ``{half}`` is half of the rate at which the first contender drains."""

    script: str
    words: str
    n: int
    loops: Loops = ASYNCIO  #: that are compared with the base
    alone: Loops = ()  #: on which it is measured, and no other build
    beside: Loops = ()  #: further loops, where it stands beside others
    turns: int | None = None  #: fewer than those of other runs: for what takes long, or counts
    memory: bool = False
    pydocket: int = 0  #: how many tasks pydocket gets here, at its defaults
    tuned: int = 0  #: and looking each 5 ms
    others: int = 0  #: and the other task queues


def _drain(words: str, n: int, **more: object) -> Run:
    return Run(script="drain", words=words, n=n, **more)  # type: ignore[arg-type]


REST: Loops = ("uvloop", "trio")

RUNS: dict[str, Run] = {
    "drain-10": _drain("--concurrency 10", 5000, loops=THREE, pydocket=100, tuned=1000),
    "drain-50": _drain("--concurrency 50", 5000, loops=THREE, pydocket=500, tuned=2000, others=2000),
    "drain-memory": _drain("--concurrency 10", 1500, loops=TWO, memory=True),
    "value": _drain("--kind value", 2000, loops=TWO),
    "fail": _drain("--kind fail", 2000, loops=TWO),
    "depends": _drain("--kind depends", 2000, loops=TWO),
    "retry": _drain("--kind retry", 1000, loops=TWO),
    "limit": _drain("--kind limit", 1500, loops=TWO),
    "add-one": Run(script="add", words="--way one", n=1500, beside=REST, pydocket=1000),
    "add-fifty": Run(script="add", words="--way fifty", n=3000, beside=REST, pydocket=1000),
    "add-many": Run(script="add", words="--way many", n=5000, beside=REST, pydocket=2000),
    "pick-up-idle": Run(script="pickup", words="--rate 100 --evenly", n=200, beside=REST, pydocket=200),
    "pick-up-1000": Run(script="pickup", words="--rate 1000", n=2000),
    "pick-up-half": Run(script="pickup", words="--rate {half}", n=3000),
    "pick-up-high": Run(
        script="pickup", words="--rate 100 --evenly --beside-low", n=300, loops=(), beside=THREE, turns=2
    ),
    "sleep": _drain("--kind sleep --concurrency 50", 1000, beside=REST, pydocket=500),
    "idle": Run(script="idle", words="", n=12, turns=1, pydocket=12),
    "large": _drain("--kind large", 100),
    "import": Run(script="first", words="--import", n=1),
    "first": Run(script="first", words="", n=1, beside=("trio",)),
    # Of the number of starts one turn is enough.
    "shares": Run(script="shares", words="", n=100_000, loops=(), alone=TWO, turns=1),
    "shares-plain": Run(script="shares", words="--plain", n=100_000, loops=(), alone=TWO, turns=1),
    # These only stand beside others.
    "forget": _drain("--concurrency 50 --forget", 3000, loops=(), beside=THREE, pydocket=500, tuned=1500),
    "memory-50": _drain(
        "--concurrency 50", 2000, loops=(), beside=TWO, turns=2, memory=True, tuned=500
    ),
    "future": Run(
        script="pickup", words="--future --rate 100 --evenly", n=300, loops=(), beside=THREE, turns=2, pydocket=300
    ),
}  # fmt: skip

#: Other task queues, each with what its environment holds.
PEERS: dict[str, list[str]] = {
    "pydocket": ["pydocket==0.27.*", "anyio", "hiredis", "redis"],
    "saq": ["saq[redis,hiredis]", "redis", "typing_extensions"],
    "taskiq": ["taskiq", "taskiq-redis", "hiredis", "redis"],
    "arq": ["arq", "hiredis"],
    "streaq": ["streaq", "trio", "redis"],
}


@attrs.frozen
class Row:
    """A line of the table beside the base: a figure of a run, and what the ratio (or the figure) is to reach."""

    title: str
    run: str
    figure: str
    goal: float | None = None
    loop: str = "asyncio"
    kind: Literal["ratio", "figure"] = "ratio"
    more_is_better: bool = False


def _kinds() -> list[Row]:
    words = {"value": "returns a value", "fail": "fails", "depends": "has Depends"}
    words |= {"retry": "is tried again", "limit": "holds a slot of ConcurrencyLimit"}
    return [
        Row(f"client CPU, a task that {what}, {loop}", run, "cpu_us", 0.55, loop)
        for run, what in words.items()
        for loop in TWO
    ]


REACH: list[Row] = [
    *(
        Row(f"client CPU, concurrency {at}, {loop}", f"drain-{at}", "cpu_us", goal, loop)
        for loop, goal in {"asyncio": 0.40, "uvloop": 0.38, "trio": 0.45}.items()
        for at in (10, 50)
    ),
    *_kinds(),
    Row("server CPU, schedule to settle", "drain-10", "whole_server_us", 0.60),
    Row("server CPU, take to settle", "drain-10", "server_us"),
    Row("server commands, take to settle", "drain-10", "commands", 9, kind="figure"),
    Row("drain at defaults, uvloop (tasks/s)", "drain-10", "per_s", 2.2, "uvloop", more_is_better=True),
    Row("client CPU on memory://", "drain-memory", "cpu_us", 0.33),
    Row("client CPU on memory://, trio", "drain-memory", "cpu_us", 0.33, "trio"),
    Row("add one by one, client CPU", "add-one", "cpu_us", 0.7),
    Row("add 50 at once, client CPU", "add-fifty", "cpu_us", 0.7),
    Row("add_many, client CPU", "add-many", "cpu_us", 0.7),
    *(
        Row(f"pick-up {at}, {p} (ms)", f"pick-up-{run}", f"{p}_ms", goal if p == "p99" else None)
        for run, at, goal in (("idle", "at idle", 1.0), ("1000", "at 1000/s", 1.0), ("half", "at half load", 0.7))
        for p in ("p50", "p99")
    ),
    Row("0.1 s sleeps, concurrency 50, share of the ideal", "sleep", "share_of_ideal", 0.95, kind="figure",
        more_is_better=True),
    Row("idle worker, server calls per second", "idle", "calls_per_s", 2, kind="figure"),
    Row("1 MB arguments, client CPU", "large", "whole_cpu_us", 0.85),
    Row("1 MB arguments, server CPU", "large", "whole_server_us", 1.0),
    Row("the first result of a process, CPU (ms)", "first", "first_cpu_ms", 0.7),
    Row("the first result of a process, time (ms)", "first", "first_ms", 0.7),
    Row("import docket, CPU (ms)", "import", "import_cpu_ms", 0.25),
    Row("import docket, and Docket, CPU (ms)", "import", "client_cpu_ms", 0.25),
    Row("import docket, Docket and Worker, CPU (ms)", "import", "worker_cpu_ms"),
]  # fmt: skip


@attrs.frozen
class Table:
    """Runs that stand beside others, and how a cell is written: of a run's figures."""

    title: str
    cell: str
    runs: dict[str, str]


SIDE_BY_SIDE: list[Table] = [
    Table(
        "per second (cpu / redis)",
        "{per_s:,.0f} ({cpu_us:.0f} / {server_us:.0f})",
        {
            "add, one by one": "add-one",
            "add, 50 at once": "add-fifty",
            "add_many": "add-many",
            "drain, defaults (concurrency 10)": "drain-10",
            "drain, concurrency 50": "drain-50",
            "the same, `execution_ttl=0`": "forget",
        },
    ),
    Table("per second (cpu)", "{per_s:,.0f} ({cpu_us:.0f})", {"drain on `memory://`, 50": "memory-50"}),
    Table(
        "per second", "{per_s:,.0f}", {"sleeps of 0.1 s, concurrency 50 (at most 500)": "sleep"}
    ),
    Table(
        "p50 / p99 (ms)",
        "{p50_ms:.1f} / {p99_ms:.1f}",
        {
            "pick-up latency": "pick-up-idle",
            "the same of high calls, where low ones of 5 ms fill the worker": "pick-up-high",
            "lateness of future tasks": "future",
        },
    ),
    Table("idle worker: server calls per second (cpu)", "{calls_per_s:.1f} ({cpu_percent:.2f} %)", {"idle": "idle"}),
]  # fmt: skip

IN_TURNS: list[Table] = [
    Table(
        "the last of the 990 begins as number / server commands per task",
        "{last:,.0f} / {commands:.1f}",
        {"in turns": "shares", "in the order of arrival": "shares-plain"},
    )
]
