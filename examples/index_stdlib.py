"""Index the standard library of the running Python: one task per module, one more per package.

The task of a module parses its file in another process and returns counts; the last one of a package schedules a task
that adds up the package's results. Progress bars follow the docket's own events. In the end a flood of tasks that do
nothing shows what a task costs.

    python examples/index_stdlib.py
    python examples/index_stdlib.py --url redis://localhost:6379/0 --backend trio --workers 4
"""

from __future__ import annotations

import ast
import functools
import json
import sys
import sysconfig
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import anyio
import anyio.to_process
from cyclopts import App, Parameter, validators
from loops import run
from redis.exceptions import ConnectionError
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from docket import CurrentDocket, Docket, Execution, Worker
from docket.errors import UsageError

STDLIB = Path(sysconfig.get_paths()["stdlib"])
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "lib-dynload"}

#: How many tasks that do nothing the end shows.
FLOOD = 2000

console = Console()


class Counts(TypedDict):
    """The contents of a module, or of a whole package. Plain values travel fastest."""

    name: str
    modules: int
    lines: int
    functions: int
    classes: int
    longest: tuple[int, str]
    """The longest function: its number of lines and its name."""


# The tasks ------------------------------------------------------------------------------------------------


async def index_module(package: str, path: str, docket: Docket = CurrentDocket()) -> Counts:
    """Parse one file and count; the last module of a package schedules the package's total.

    Parsing needs the processor: here it would block the event loop, and all other tasks of this worker.
    """
    counts = await anyio.to_process.run_sync(count, path)
    async with docket.redis() as redis:
        left = await redis.decr(docket.key(f"left:{package}"))
    if left == 0:
        await docket.add(add_up_package, key=f"package:{package}")(package)
    return counts


async def add_up_package(package: str, docket: Docket = CurrentDocket()) -> Counts:
    """Add up the results of a package's modules."""
    total = Counts(name=package, modules=0, lines=0, functions=0, classes=0, longest=(0, ""))
    for path in modules()[package]:
        execution: Execution[Counts] | None = await docket.get_execution(f"module:{path}")
        assert execution is not None
        part = await execution.get_result()
        for field in ("modules", "lines", "functions", "classes"):
            total[field] += part[field]
        total["longest"] = max(total["longest"], part["longest"])
    return total


def count(path: str) -> Counts:
    """Count the functions, classes and lines of one module."""
    source = Path(path).read_bytes()
    functions = classes = 0
    longest = (0, "")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions += 1
            longest = max(longest, ((node.end_lineno or node.lineno) - node.lineno + 1, node.name))
        elif isinstance(node, ast.ClassDef):
            classes += 1
    lines = source.count(b"\n")
    return Counts(
        name=Path(path).stem, modules=1, lines=lines, functions=functions, classes=classes, longest=longest
    )


async def nothing() -> None:
    """Do nothing: what a task costs by itself."""


@functools.cache
def modules() -> dict[str, list[str]]:
    """The files of the standard library, by package; a module outside of packages is a package of its own."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(STDLIB.rglob("*.py")):
        parts = path.relative_to(STDLIB).parts
        if not LEFT_OUT.intersection(parts) and not parts[0].startswith("config-"):
            found[parts[0].removesuffix(".py")].append(str(path))
    return dict(found)


# The program ----------------------------------------------------------------------------------------------


async def index(url: str, workers: int, concurrency: int) -> None:
    plan = modules()
    async with Docket(name="stdlib-index", url=url) as docket:
        for task in (index_module, add_up_package, nothing):
            docket.register(task)
        started = time.perf_counter()
        total = sum(map(len, plan.values()))
        async with anyio.create_task_group() as group:
            await group.start(show_progress, docket, total, len(plan))
            await schedule(docket, plan)
            await work(docket, workers, concurrency)
        seconds = time.perf_counter() - started
        show([await result_of(docket, package) for package in plan])
        console.print(f"{total} modules in {len(plan)} packages: {seconds:.1f} s, most of it for parsing")
        started = time.perf_counter()
        await docket.add_many(docket.call(nothing)() for _ in range(FLOOD))
        await work(docket, workers, concurrency)
        seconds = time.perf_counter() - started
        console.print(f"{FLOOD:,} tasks that do nothing: {seconds:.1f} s, {FLOOD / seconds:,.0f} tasks/s")


async def schedule(docket: Docket, plan: dict[str, list[str]]) -> None:
    """Schedule a task for every module, in few round trips."""
    async with docket.redis() as redis, redis.pipeline() as pipe:
        for package, paths in plan.items():
            pipe.set(docket.key(f"left:{package}"), len(paths), ex=3600)
        await pipe.execute()
    await docket.add_many(
        docket.call(index_module, key=f"module:{path}")(package, path)
        for package, paths in plan.items()
        for path in paths
    )


async def work(docket: Docket, workers: int, concurrency: int) -> None:
    """Let workers run everything that is on the docket."""
    async with anyio.create_task_group() as group:
        for number in range(workers):
            worker = Worker(docket, name=f"worker-{number + 1}", concurrency=concurrency)
            group.start_soon(worker.run_until_finished)


async def result_of(docket: Docket, package: str) -> Counts:
    execution: Execution[Counts] | None = await docket.get_execution(f"package:{package}")
    assert execution is not None
    return await execution.get_result()


async def show_progress(
    docket: Docket,
    modules: int,
    packages: int,
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Draw a bar for modules and one for packages, from the docket's state events."""
    columns = TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress:
        bars = {
            "module": progress.add_task("modules", total=modules),
            "package": progress.add_task("packages", total=packages),
        }
        async for key, state in states(docket, task_status):
            if state == "failed":
                progress.console.print(f"[red]{key} failed")
            if state in ("completed", "failed"):
                progress.advance(bars[key.partition(":")[0]])
            if progress.finished:
                return


async def states(docket: Docket, task_status: anyio.abc.TaskStatus[None]) -> AsyncGenerator[tuple[str, str]]:
    """Yield (key, state) for every change on the docket, once ``task_status`` has started."""
    async with docket.redis() as redis, redis.pubsub() as pubsub:
        await pubsub.psubscribe(docket.key("state:*"))
        task_status.started()
        async for message in pubsub:
            event = json.loads(message.payload)
            yield event["key"], event["state"]


def show(totals: list[Counts]) -> None:
    table = Table(title="The ten largest packages", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("package", "modules", "lines", "functions", "classes"):
        table.add_column(heading, justify="left" if heading == "package" else "right", no_wrap=True)
    table.add_column("longest function", no_wrap=True)
    for counts in sorted(totals, key=lambda counts: counts["lines"], reverse=True)[:10]:
        lines, function = counts["longest"]
        numbers = counts["modules"], counts["lines"], counts["functions"], counts["classes"]
        table.add_row(
            shortened(counts["name"], 14),
            *(f"{number:,}" for number in numbers),
            f"{shortened(function, 14)} ({lines:,})",
        )
    console.print(table)


def shortened(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


AT_LEAST_ONE = validators.Number(gte=1)


def command(index: Callable[[str, int, int], Awaitable[None]], title: str) -> App:
    """The command line of an index."""
    app = App(help=title)

    @app.default
    def main(
        *,
        url: Annotated[str, Parameter(help="The server of the docket.")] = "memory://stdlib",
        backend: Annotated[
            Literal["asyncio", "uvloop", "trio"], Parameter(help="The event loop to run on.")
        ] = "asyncio",
        workers: Annotated[int, Parameter(help="Workers in this process.", validator=AT_LEAST_ONE)] = 2,
        concurrency: Annotated[
            int, Parameter(help="Tasks at a time, per worker.", validator=AT_LEAST_ONE)
        ] = 10,
    ) -> None:
        try:
            run(backend, index, url, workers, concurrency)
        except (UsageError, ConnectionError) as error:
            sys.exit(str(error))

    return app


if __name__ == "__main__":
    command(index, "Index the standard library of the running Python with docket.")()
