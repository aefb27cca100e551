"""Where an example is performed: a server, dockets that lead to it, a worker at work, and what comes of it."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

import anyio
import attrs
import pytest

from docket import Docket, Worker, clock, testing
from docket.signals import Subscriber, signals
from docket.transport import Client, from_url
from tests.seeds.standins import Notes, standins
from tests.seeds.texts import Example, by_name

__all__ = ["NOW", "Run", "Stage", "staged"]

NOW = timedelta(0)

#: No example and nothing that comes of it takes longer than this, of virtual time or real.
PATIENCE = timedelta(days=60)

#: The one line that says in words what should be written there.
PROSE = "...do something interesting..."

#: What must have happened on the same docket before, for its names or for what it left there.
BEFORE = {
    "agenda: Not all at the same moment": ["agenda: A hundred calls over fifty minutes"],
    "agenda: A window in the future": ["agenda: A hundred calls over fifty minutes"],
    "agenda: Calls of several tasks": ["agenda: A hundred calls over fifty minutes"],
    "agenda: One call alone": ["agenda: A hundred calls over fifty minutes"],
    "readme: A worker that greets": ["readme: Greetings, now and soon"],
    "readme: Work under a key": ["readme: Work for now and for tomorrow"],
    "readme: The same key again": ["readme: Work for now and for tomorrow", "readme: Work under a key"],
    "readme: Another time for a key": ["readme: Work for now and for tomorrow", "readme: Work under a key"],
    "readme: Other arguments for a key": [
        "readme: Work for now and for tomorrow",
        "readme: Work under a key",
    ],
    "readme: No more of a key": ["readme: Work for now and for tomorrow", "readme: Work under a key"],
    "readme: A task by its name": ["readme: Work for now and for tomorrow"],
    "readme: A task that adds itself": ["readme: Work for now and for tomorrow"],
    "readme: A task that keeps its key": [
        "readme: Work for now and for tomorrow",
        "readme: A task that adds itself",  # for POLLING_INTERVAL
    ],
    "progress: Following it": ["progress: Reporting how far it is"],
    "results: Waiting so long and no longer": ["results: Waiting for the result"],
}

#: Stand-ins of one example, where the same name means something else in the others.
PHASES = ["extract_data", "transform_data", "load_data", "verify_data"]


@attrs.frozen
class Run:
    """A run of a task: how it ended, what follows it, and when it began, in seconds of the event loop."""

    task: str
    ended: str
    then: str
    began: float


@attrs.define(eq=False)
class Ledger(Subscriber):
    """Notes what is placed and what runs."""

    placed_tasks: list[tuple[str, str]] = attrs.field(factory=list)
    runs: list[Run] = attrs.field(factory=list)
    begun: anyio.Event = attrs.field(factory=anyio.Event)

    def placed(self, docket: str, task: str, *, replacing: bool, disposition: str) -> None:
        self.placed_tasks.append((task, disposition))

    def run_started(self, docket: str, worker: str, task: str, *, late: float, redelivered: bool) -> None:
        self.begun.set()

    def run_ended(
        self, docket: str, worker: str, task: str, *, seconds: float, ended: str, then: str
    ) -> None:
        self.runs.append(Run(task, ended, then, anyio.current_time() - seconds))


@attrs.define(eq=False)
class Stage:
    """One server, and one program whose code the examples are."""

    docket: Docket
    dockets: list[Docket]
    ledger: Ledger
    notes: Notes
    names: dict[str, Any]

    @property
    def runs(self) -> list[Run]:
        return self.ledger.runs

    def runs_of(self, task: str) -> list[Run]:
        return [run for run in self.runs if run.task == task]

    def dispositions(self, task: str) -> list[str]:
        return [disposition for name, disposition in self.ledger.placed_tasks if name == task]

    async def waiting(self, task: str) -> list[datetime]:
        """When the calls of a task are due that wait."""
        future = (await self.docket.snapshot()).future
        return sorted(execution.when for execution in future if execution.function_name == task)

    async def due(self, task: str) -> list[timedelta]:
        """How long from now the calls of a task wait, to the second."""
        now = clock.now()
        return [timedelta(seconds=round((when - now).total_seconds())) for when in await self.waiting(task)]

    def gaps(self, task: str) -> list[int]:
        """The seconds between the runs of a task."""
        began = [run.began for run in self.runs_of(task)]
        return [round(after - before) for before, after in itertools.pairwise(began)]

    async def perform(self, name: str, *, alone: bool = False) -> None:
        """Run the code of an example as if it were that of one module of the program, after what belongs before it."""
        for before in [] if alone else BEFORE.get(name, []):
            await self._perform_alone(by_name(before))
        await self._perform_alone(by_name(name))

    async def _perform_alone(self, example: Example) -> None:
        if example.name == "progress: Phases with progress of their own":
            self.names |= {phase: self.notes.phase(phase, 30, 100) for phase in PHASES}
        self.names["docket"] = self.docket
        performed = eval(compiled(example), self.names)
        if inspect.isawaitable(performed):
            await performed

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """A worker is at work meanwhile, until all that is due has run and what the code starts has ended."""
        async with anyio.create_task_group() as work:
            work.start_soon(Worker(self.docket, "at-work").run_forever)
            async with anyio.create_task_group() as background:
                self.names["asyncio"] = SimpleNamespace(
                    create_task=lambda task: background.start_soon(self._in_background, task)
                )
                yield
            await testing.run_until(self.docket, clock.now())
            work.cancel_scope.cancel()

    async def _in_background(self, task: Coroutine[Any, Any, None]) -> None:
        # The first event about the progress of a task that waits says None, as pydocket's does, with which the text
        # cannot calculate: it means a task that has begun.
        await self.ledger.begun.wait()
        await task

    async def go_on(self, by: timedelta) -> None:
        """Let time pass, with a worker on each docket that the code has opened."""
        until = clock.now() + by
        for docket in list(self.dockets):
            async with docket:
                await testing.run_until(docket, until)

    async def add(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Add a call of a task that the code has defined."""
        return await self.docket.add(self.names[name])(*args, **kwargs)


def compiled(example: Example) -> CodeType:
    """Errors name the line of the example's file."""
    source = "\n" * (example.line - 1) + example.code.replace(PROSE, "...")
    return compile(source, str(example.path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def tasks_defined_by(example: Example) -> dict[str, bool]:
    """The async functions of an example by name; and whether each is perpetual."""
    tree = ast.parse(example.code.replace(PROSE, "..."))
    functions = [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
    return {node.name: "Perpetual(" in ast.unparse(node.args) for node in functions}


@asynccontextmanager
async def staged(url: str, patch: pytest.MonkeyPatch) -> AsyncGenerator[Stage]:
    """A stage on a server: whatever URL a text writes leads there, and every docket knows the program's tasks."""
    dockets: list[Docket] = []
    ledger, notes = Ledger(), Notes()
    _lead_to(url, patch, dockets)
    patch.setattr(signals, "subscribers", [*signals.subscribers, ledger])
    module = ModuleType("my_tasks")
    exec(compiled(by_name("readme: A module of tasks")), module.__dict__)
    patch.setitem(sys.modules, "my_tasks", module)
    async with Docket() as docket:
        with anyio.fail_after(PATIENCE.total_seconds() if clock.is_virtual() else 20):
            yield Stage(docket, dockets, ledger, notes, {"__name__": "program", **standins(notes)})


def _lead_to(url: str, patch: pytest.MonkeyPatch, dockets: list[Docket]) -> None:
    init = Docket.__init__
    tasks: dict[str, Callable[..., Awaitable[Any]]] = {}

    def open_there(_: str, **options: Any) -> Client:
        return from_url(url, **options)

    def init_with_tasks(self: Docket, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        tasks.update(self.tasks)
        self.tasks = tasks
        if self.name not in [docket.name for docket in dockets]:
            dockets.append(self)

    for module in ("docket.docket", "docket.strikelist"):
        patch.setattr(f"{module}.from_url", open_there)
    patch.setattr(Docket, "__init__", init_with_tasks)
