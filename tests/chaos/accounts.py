"""The lines of a ledger as what happened: asks, runs, processes, troubles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from tests.chaos.ledger import Entry

__all__ = ["Accounts", "Ask", "Paused", "Process", "Run", "Trouble", "covered"]


@attrs.frozen(kw_only=True)
class Ask:
    """One try of a producer to have something done; ``how`` is acknowledged, refused, lost, or None: no answer yet."""

    key: str
    op: str
    kind: str
    version: int
    asked: float
    wall: float = 0.0
    answered: float = math.inf
    how: str | None = None
    said: str = ""
    expected: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Run:
    """One run of a body; ``how`` is None where its process died in it."""

    key: str
    version: int
    attempt: int
    pid: int
    begin: float
    generation: int = 1
    end: float = math.inf
    how: str | None = None
    wall: float = 0.0
    message: str = ""
    redelivered: bool = False
    customer: str | None = None
    task: str = ""

    @property
    def unit(self) -> tuple[str, int, int]:
        """What is to run once."""
        return self.key, self.version, self.attempt


@attrs.define(kw_only=True)
class Process:
    """One worker or producer process. ``slot`` is None for what has none."""

    pid: int
    slot: int | None = None
    ended: float = math.inf
    code: int | None = None
    has_ended: bool = False
    signals: list[tuple[float, str]] = attrs.field(factory=list)

    def got(self, name: str) -> list[float]:
        return [at for at, signal in self.signals if signal == name]


@attrs.frozen(kw_only=True)
class Trouble:
    """A time in which a process (``pid``), or those in ``slots`` (None: all), cannot be expected to be in time."""

    name: str
    since: float
    until: float
    slots: frozenset[int] | None = None
    pid: int | None = None

    def concerns(self, process: Process | None) -> bool:
        if self.pid is not None:
            return process is not None and process.pid == self.pid
        return self.slots is None or process is None or process.slot in self.slots


@attrs.frozen(kw_only=True)
class Paused:
    """A time from the moment at which a pause was acknowledged until its resume was asked for; ``*``: all tasks."""

    task: str
    since: float
    until: float


def covered(spans: Iterable[tuple[float, float]], since: float, until: float) -> float:
    """How much of the time from ``since`` to ``until`` lies in at least one of the spans."""
    total, reached = 0.0, since
    for begin, end in sorted(spans):
        begin, end = max(begin, reached), min(end, until)
        if end > begin:
            total, reached = total + end - begin, end
    return total


@attrs.define
class Accounts:
    """What a ledger says."""

    asks: list[Ask] = attrs.field(factory=list)
    runs: list[Run] = attrs.field(factory=list)
    processes: dict[int, Process] = attrs.field(factory=dict)
    troubles: list[Trouble] = attrs.field(factory=list)
    pauses: list[Paused] = attrs.field(factory=list)
    wall_offset: float = 0.0
    """Wall time minus monotonic time."""

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Accounts:
        accounts = cls()
        asks: dict[tuple[int, int], Ask] = {}
        runs: dict[tuple[int, int], Run] = {}
        for entry in entries:
            match entry["what"]:
                case "ask":
                    asks[entry["pid"], entry["call"]] = _ask(entry)
                case "answer":
                    at = entry["pid"], entry["call"]
                    asks[at] = attrs.evolve(
                        asks[at], answered=entry["at"], how=entry["how"], said=entry["said"]
                    )
                case "begin":
                    runs[entry["pid"], entry["run"]] = run = _run(entry)
                    accounts.wall_offset = run.wall - run.begin
                case "end":
                    at = entry["pid"], entry["run"]
                    runs[at] = attrs.evolve(runs[at], end=entry["at"], how=entry["how"])
                case _:
                    accounts._take(entry)
        accounts.asks, accounts.runs = list(asks.values()), list(runs.values())
        accounts.troubles += accounts._stops()
        return accounts

    def _take(self, entry: Entry) -> None:
        match entry["what"]:
            case "started":
                self._process(entry["of"]).slot = entry["slot"]
            case "signal":
                self._process(entry["of"]).signals.append((entry["at"], entry["signal"]))
            case "exit":
                process = self._process(entry["of"])
                process.ended, process.code, process.has_ended = entry["at"], entry["code"], True
            case "fault":
                slots = None if entry["slots"] is None else frozenset(entry["slots"])
                until = entry["until"] + entry["after"]
                self.troubles.append(
                    Trouble(name=entry["name"], since=entry["since"], until=until, slots=slots)
                )
            case "pause":
                self.pauses.append(Paused(task=entry["task"], since=entry["since"], until=entry["until"]))
            case "silent":
                self.troubles.append(Trouble(name="silent server", since=entry["since"], until=entry["at"]))
            case "stall":
                whose = entry["pid"] if entry["pid"] in self.processes else None
                self.troubles.append(
                    Trouble(name="stall", since=entry["since"], until=entry["at"], pid=whose)
                )
            case _:
                pass  # for people

    def _process(self, pid: int) -> Process:
        return self.processes.setdefault(pid, Process(pid=pid))

    def _stops(self) -> Iterator[Trouble]:
        for process in self.processes.values():
            resumed = process.got("SIGCONT")
            for since in process.got("SIGSTOP"):
                until = min((at for at in resumed if at >= since), default=process.ended)
                yield Trouble(name="stopped", since=since, until=until, pid=process.pid)

    def troubles_of(self, pid: int, *names: str) -> list[tuple[float, float]]:
        """When a process was in trouble, of the kinds that are named, if any are."""
        process = self.processes.get(pid)
        return [
            (trouble.since, trouble.until)
            for trouble in self.troubles
            if (not names or trouble.name in names) and trouble.concerns(process)
        ]


def _ask(entry: Entry) -> Ask:
    known = {"key", "op", "kind", "version", "wall"}
    facts = {name: value for name, value in entry.items() if name in known}
    expected = {name: value for name, value in entry.items() if name in ("value", "attempts", "ends")}
    return Ask(asked=entry["at"], expected=expected, **facts)


def _run(entry: Entry) -> Run:
    known = {
        "key",
        "version",
        "attempt",
        "pid",
        "generation",
        "wall",
        "message",
        "redelivered",
        "customer",
        "task",
    }
    return Run(begin=entry["at"], **{name: value for name, value in entry.items() if name in known})
