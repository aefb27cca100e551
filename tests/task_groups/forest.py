"""Trees of tasks, workers for them that are forked and may be killed, and a ledger of their runs.

``python -m tests.task_groups.forest`` reads a line of JSON for each worker that it is to fork: it has imported
everything, so that one is at work within some ten milliseconds.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import anyio
import attrs

from docket import (
    CurrentDocket,
    CurrentExecution,
    Docket,
    Execution,
    ExecutionCancelled,
    Retry,
    Timeout,
    Worker,
)
from tests.chaos.ledger import Ledger
from tests.house.tree import ROOT

__all__ = ["LEASE", "Kind", "Node", "Run", "Workers", "runs_of", "task_of", "tasks"]

#: What a killed worker has run is redelivered after so long.
LEASE = timedelta(seconds=1.5)

#: A node of this kind is stopped after so long.
IN_TIME = timedelta(seconds=0.4)

Kind = Literal["returns", "raises", "flaky", "timed", "endless"]
Adds = Literal["one by one", "many", "few", "as they end"]
AnExecution = Execution[Any]

_ledgers: list[Ledger] = []


class Boom(Exception):
    """What nodes raise."""


@attrs.frozen
class Node:
    """A task of a tree: what it does after its group, if it has children, and what children it has.

    One that is ``endless`` has no children; one that is ``timed`` has an endless one, and none that fails.
    """

    kind: Kind = "returns"
    seconds: float = 0.0
    children: tuple[Node, ...] = ()
    on_failure: Literal["cancel", "wait"] = "cancel"
    adds: Adds = "one by one"
    catches: bool = False

    @property
    def fails(self) -> bool:
        """Whether it fails where nobody interferes."""
        failing = any(child.fails for child in self.children)
        return self.kind in ("raises", "timed") or (failing and not self.catches)

    def under(self, key: str) -> Iterator[tuple[str, Node]]:
        """All nodes of the tree by their keys, from the top."""
        yield key, self
        for at, child in enumerate(self.children):
            yield from child.under(f"{key}/{at}")


def task_of(what: Node) -> Any:
    return {"flaky": flaky, "timed": timed}.get(what.kind, node)


@contextmanager
def noted(execution: AnExecution) -> Generator[None]:
    [ledger] = _ledgers
    run = {"key": execution.key, "generation": execution.generation, "attempt": execution.attempt}
    ledger.note("begin", **run)
    try:
        yield
    finally:
        ledger.note("end", **run)


async def node(
    what: Node, execution: AnExecution = CurrentExecution(), docket: Docket = CurrentDocket()
) -> Any:
    with noted(execution):
        return await live(what, execution, docket)


async def flaky(
    what: Node,
    execution: AnExecution = CurrentExecution(),
    docket: Docket = CurrentDocket(),
    retry: Retry = Retry(attempts=2, delay=timedelta(milliseconds=5)),
) -> Any:
    with noted(execution):
        found = await live(what, execution, docket)
        if retry.attempt == 1:
            raise Boom(execution.key)
        return found


async def timed(
    what: Node,
    execution: AnExecution = CurrentExecution(),
    docket: Docket = CurrentDocket(),
    timeout: Timeout = Timeout(IN_TIME),
) -> Any:
    with noted(execution):
        return await live(what, execution, docket)


tasks = [node, flaky, timed]


async def live(what: Node, execution: AnExecution, docket: Docket) -> Any:
    """Returns what it has seen of its children: for each key "completed", "cancelled" or "failed", if it knows."""
    await anyio.sleep(what.seconds)
    if what.kind == "endless":
        await anyio.sleep_forever()
    seen: dict[str, str] = {}
    if what.children:
        most = 2 if what.adds == "few" else None
        try:
            async with docket.task_group(on_failure=what.on_failure, max_running=most) as group:
                # A retry is another attempt: its children are new, and the keys of the others may not be free yet.
                again = "" if execution.attempt == 1 else f"+{execution.attempt}"
                keys = [f"{execution.key}{again}/{at}" for at in range(len(what.children))]
                if what.adds == "many":
                    children = await group.add_many(
                        group.call(task_of(child), key=key)(child)
                        for key, child in zip(keys, what.children, strict=True)
                    )
                else:
                    children = [
                        await group.add(task_of(child), key=key)(child)
                        for key, child in zip(keys, what.children, strict=True)
                    ]
                if what.adds == "as they end":
                    given = [child.key async for child in group.results()]
                    assert sorted(given) == sorted(keys)
        except ExceptionGroup as failures:
            if not what.catches:
                raise
            notes = [note for one in failures.exceptions for note in getattr(one, "__notes__", ())]
            for key in keys:
                if any(note.endswith(f"key {key!r}") for note in notes):
                    seen[key] = "failed"
        else:
            for child in children:
                try:
                    await child.get_result()
                    seen[child.key] = "completed"
                except ExecutionCancelled:
                    seen[child.key] = "cancelled"
    if what.kind == "raises":
        raise Boom(execution.key)
    return seen


# workers -------------------------------------------------------------------------------------------------------


class Workers:
    """Worker processes of a docket; all are killed at the end of the block."""

    def __init__(self, docket: str, url: str, directory: Path) -> None:
        self.directory = directory
        self._given = {"docket": docket, "url": url, "directory": str(directory)}
        self._living: list[tuple[int, str]] = []
        self._names = iter(range(10**6))
        self.killed: set[int] = set()

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.task_groups.forest"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._forks = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid, _ in self._living:
            os.kill(pid, signal.SIGKILL)
        self._forks.kill()
        self._forks.__exit__(kind, error, trace)

    def start(self, loop: str) -> None:
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        asked = {**self._given, "name": f"w{next(self._names)}", "loop": loop}
        self._forks.stdin.write(json.dumps(asked).encode() + b"\n")
        self._forks.stdin.flush()
        self._living.append((int(self._forks.stdout.readline()), loop))

    def kill_one(self) -> None:
        """Kill the one that lives longest, and start another on the other loop."""
        pid, loop = self._living.pop(0)
        os.kill(pid, signal.SIGKILL)
        self.killed.add(pid)
        self.start("trio" if loop == "asyncio" else "asyncio")


async def work(asked: dict[str, str]) -> None:
    async with Docket(
        asked["docket"], asked["url"], heartbeat_interval=timedelta(milliseconds=500)
    ) as docket:
        for task in tasks:
            docket.register(task)
        worker = Worker(docket, asked["name"], concurrency=4, redelivery_timeout=LEASE, max_deliveries=100)
        await worker.run_forever()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            directory = Path(asked["directory"])
            directory.mkdir(parents=True, exist_ok=True)
            logging.basicConfig(filename=directory / f"{asked['name']}.log", level=logging.INFO)
            _ledgers.append(Ledger(directory, "worker"))
            with suppress(KeyboardInterrupt):
                anyio.run(work, asked, backend=asked["loop"])
            os._exit(0)
        print(pid, flush=True)


# what has to agree ---------------------------------------------------------------------------------------------


@attrs.frozen
class Run:
    """One begin of a body in the ledger. ``end`` is infinite where it was killed."""

    key: str
    unit: tuple[str, int, int]
    pid: int
    begin: float
    end: float


def runs_of(entries: list[dict[str, Any]]) -> dict[str, list[Run]]:
    """The runs of each key, in order."""
    ends = defaultdict[tuple[Any, ...], list[float]](list)
    found = defaultdict[str, list[Run]](list)
    for entry in entries:
        if entry["what"] == "end":
            ends[entry["pid"], entry["key"], entry["generation"], entry["attempt"]].append(entry["at"])
    for entry in entries:
        if entry["what"] == "begin":
            unit = entry["key"], entry["generation"], entry["attempt"]
            later = [at for at in ends[entry["pid"], *unit] if at >= entry["at"]]
            run = Run(entry["key"], unit, entry["pid"], entry["at"], min(later, default=float("inf")))
            found[entry["key"]].append(run)
    return found


if __name__ == "__main__":
    from tests.task_groups import forest

    forest.main()
