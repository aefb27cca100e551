"""One chaos session, from the first process to the report."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from tests.chaos import checker, leftovers
from tests.chaos.accounts import Accounts, covered
from tests.chaos.appendonly import Change, commands, histories
from tests.chaos.checker import Violation
from tests.chaos.ledger import Entry, read
from tests.chaos.plan import NETWORK, OPERATORS, SERVER, WORKERS, Fault, Kinds, plan
from tests.chaos.rig import DOCKET, Rig
from tests.chaos.rig import WORKERS as SLOTS
from tests.chaos.torment import Tormentor

__all__ = ["Report", "Settings", "run"]


@attrs.frozen(kw_only=True)
class Settings:
    """``seconds`` is how long the torment lasts, at least as long as one round of all faults; ``lease`` the workers'
    redelivery timeout; ``patience`` how long what is left may take after it; ``pause`` that between two tasks."""

    seed: int
    seconds: float
    lease: float = 2.5
    calm: float = 0.8
    patience: float = 60.0
    pause: float = 0.15
    tracks: Sequence[Kinds] = (WORKERS, SERVER, NETWORK, OPERATORS)
    rig: type[Rig] = Rig
    tormentor: type[Tormentor] = Tormentor
    forgetful: frozenset[str] = frozenset()
    """Faults by which the server loses what workers have written."""


@attrs.define
class Report:
    """What came of a session."""

    settings: Settings
    directory: Path
    violations: list[Violation] = attrs.field(factory=list)
    figures: dict[str, str] = attrs.field(factory=dict)
    entries: list[Entry] = attrs.field(factory=list)
    changes: dict[str, list[Change]] = attrs.field(factory=dict)

    def __str__(self) -> str:
        lines = [f"chaos session with seed {self.settings.seed}, files in {self.directory}"]
        lines += [f"  {name}: {value}" for name, value in self.figures.items()]
        lines += [f"{len(self.violations)} violations"]
        lines += [f"  {each.key or '(no task)'}: {each.what}" for each in self.violations[:50]]
        for key in list(dict.fromkeys(each.key for each in self.violations if each.key))[:5]:
            lines += ["", f"--- {key}", *self._story(key)]
        return "\n".join(lines)

    def _story(self, key: str) -> list[str]:
        """All that is known of one task, in order."""
        ids = {(one["pid"], one.get("run"), one.get("call")) for one in self.entries if one.get("key") == key}
        mine = [
            one
            for one in self.entries
            if one.get("key") == key or (one["pid"], one.get("run"), one.get("call")) in ids
        ]
        told = [f"  {one['at']:.3f} {_shown(one)}" for one in mine]
        since, until = mine[0]["at"] - 3, mine[-1]["at"] + 3
        for one in self.entries:
            if (
                one["what"] in ("fault", "pause", "signal", "exit", "silent", "stall")
                and since < one["at"] < until
            ):
                told.append(f"  {one['at']:.3f} {_shown(one)}")
        for log in sorted(self.directory.glob("*.log")):
            for line in log.read_text(errors="replace").splitlines():
                if key in line:
                    told.append(f"  {line.partition(' ')[0]} {log.name}: {line}")
        told.sort()
        told += [f"  server: {change}" for change in self.changes.get(key, [])]
        return told


def _shown(entry: Entry) -> str:
    return " ".join(f"{name}={value}" for name, value in entry.items() if name != "at")


def run(settings: Settings, directory: Path, say: Callable[[str], None] = print) -> Report:
    """Run one session; nothing is raised for what it finds."""
    report = Report(settings, directory)
    faults: list[list[Fault]] = plan(
        settings.seed, settings.seconds, settings.tracks, workers=SLOTS, lease=settings.lease, calm=settings.calm
    )  # fmt: skip
    keep = 2 * settings.seconds + 600
    make = settings.rig
    with make(directory, seed=settings.seed, lease=settings.lease, keep=keep, pause=settings.pause) as rig:
        _until(lambda: _at_work(directory), 60, "every process is at work")
        tormentor = settings.tormentor(rig, faults)
        began = time.monotonic()
        tormentor.start()
        tormentor.wait()
        tormented = time.monotonic() - began
        say(f"the torment is over after {tormented:.0f} s; what is left is being done")
        rig.end_producers(settings.patience)
        patience = settings.patience
        done = _waits(lambda: not leftovers.waiting(rig.admin, DOCKET), patience)
        left = leftovers.waiting(rig.admin, DOCKET)
        drained = time.monotonic() - began - tormented
        rig.release(settings.patience)
        if not done:
            report.violations.append(Violation("", f"after {patience} s there is still {left}"))
        report.violations += [Violation("", leak) for leak in leftovers.leaks(rig.admin, DOCKET)]
        report.entries = read(directory / "ledger")
        accounts = Accounts.of(report.entries)
        keys = sorted({ask.key for ask in accounts.asks})
        ends = leftovers.endings(rig.url, DOCKET, keys)
        if rig.journal is not None:
            report.changes = histories(commands(rig.journal), DOCKET)
        report.violations += checker.unkept_promises(accounts, ends)
        report.violations += checker.unexplained_runs(accounts, settings.lease, forgetful=settings.forgetful)
        report.violations += checker.rewritten_ends(report.changes)
        report.violations += checker.double_placings(accounts)
        report.violations += checker.early_runs(accounts)
        report.violations += checker.paused_runs(accounts)
        report.violations += checker.orphans(accounts)
        report.violations += checker.overlapping_runs(accounts, forgetful=settings.forgetful)
        report.violations += checker.deaths(accounts)
        report.figures = _figures(accounts, report.entries, tormented, drained)
        report.figures["server"] = (
            f"{sum(map(len, report.changes.values()))} changes of {len(report.changes)} records"
        )
        consumers = rig.admin.xinfo_consumers(f"{DOCKET}:stream", leftovers.STREAM_GROUP)
        report.figures["consumers"] = f"{len(consumers)} left in the group"
        report.figures["ends"] = str(dict(Counter(end.state for end in ends.values())))
    return report


def _at_work(directory: Path) -> bool:
    """Whether every worker has begun something: a process tells nobody, so its ledger is read."""
    entries = read(directory / "ledger")
    return len({entry["pid"] for entry in entries if entry["what"] == "end"}) >= SLOTS


def _waits(condition: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def _until(condition: Callable[[], object], seconds: float, what: str) -> None:
    if not _waits(condition, seconds):
        raise RuntimeError(f"not within {seconds} s: {what}")


def _figures(
    accounts: Accounts, entries: Sequence[Entry], tormented: float, drained: float
) -> dict[str, str]:
    answers = Counter(str(ask.how) for ask in accounts.asks)
    faults = Counter(one["name"] for one in entries if one["what"] in ("fault", "pause"))
    signals = Counter(one["signal"] for one in entries if one["what"] == "signal")
    runs = Counter(run.unit for run in accounts.runs)
    first: dict[tuple[str, int], float] = {}
    for ask in accounts.asks:
        if ask.op != "cancel" and ask.how == "acknowledged":
            due = max(ask.wall, ask.answered + accounts.wall_offset)
            first[ask.key, ask.version] = min(first.get((ask.key, ask.version), due), due)
    late: dict[tuple[str, int], float] = {}
    for run in sorted(accounts.runs, key=lambda run: run.begin):
        if run.attempt == 1 and (run.key, run.version) in first and run.customer is None:
            late.setdefault((run.key, run.version), run.wall - first[run.key, run.version])
    waits = sorted(late.values()) or [0.0]
    troubles = [(trouble.since, trouble.until) for trouble in accounts.troubles if trouble.name != "stall"]
    unexplained = max(
        (
            wait - covered(troubles, due - accounts.wall_offset, due - accounts.wall_offset + wait)
            for at, wait in late.items()
            if wait > 0.1
            for due in (first[at],)
        ),
        default=waits[-1],
    )
    stalls = [one["at"] - one["since"] for one in entries if one["what"] == "stall"]
    return {
        "torment": f"{tormented:.0f} s, then {drained:.1f} s until nothing was left",
        "asks": f"{len(accounts.asks)}: {dict(answers)}",
        "tasks": f"{len({ask.key for ask in accounts.asks})} keys, {len(runs)} parts",
        "runs": f"{len(accounts.runs)}, {len(accounts.runs) / (tormented + drained):.0f} a second; "
        f"{sum(count - 1 for count in runs.values())} of them again",
        "signals": str(dict(signals)),
        "faults": str(dict(faults)),
        "processes": f"{sum(one['what'] == 'started' for one in entries)} workers",
        "pick-up": f"median {statistics.median(waits):.3f} s, 99 % {waits[int(len(waits) * 0.99)]:.3f} s, "
        f"worst {waits[-1]:.3f} s; outside of any trouble at most {unexplained:.3f} s",
        "stalls": f"{len(stalls)}, longest {max(stalls, default=0):.1f} s",
    }
