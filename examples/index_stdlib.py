"""Index the standard library of the running Python: one task per module, one more per package.

The task of a module parses its file and returns counts; the last one of a package schedules a task that adds up the
package's results. Progress bars follow the docket's own events.

    python examples/index_stdlib.py
    python examples/index_stdlib.py --url redis://localhost:6379/0 --backend trio --workers 4
"""

from __future__ import annotations

import ast
import functools
import json
import sysconfig
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import anyio
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from docket import CurrentDocket, Docket, Execution, Worker

STDLIB = Path(sysconfig.get_paths()["stdlib"])
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "lib-dynload"}

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
    """Parse one file and count; the last module of a package schedules the package's total."""
    counts = count(Path(path))
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


def count(path: Path) -> Counts:
    """Count the functions, classes and lines of one module."""
    source = path.read_bytes()
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
        name=path.stem, modules=1, lines=lines, functions=functions, classes=classes, longest=longest
    )


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
        docket.register(index_module)
        docket.register(add_up_package)
        started = time.perf_counter()
        total = sum(map(len, plan.values()))
        async with anyio.create_task_group() as group:
            await group.start(show_progress, docket, total, len(plan))
            await schedule(docket, plan)
            for number in range(workers):
                group.start_soon(work, docket, f"worker-{number + 1}", concurrency)
        seconds = time.perf_counter() - started
        totals = [await result_of(docket, package) for package in plan]
    show(totals)
    console.print(
        f"{total} modules in {len(plan)} packages, {seconds:.1f} s, {(total + len(plan)) / seconds:.0f} tasks/s"
    )


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


async def work(docket: Docket, name: str, concurrency: int) -> None:
    async with Worker(docket, name=name, concurrency=concurrency) as worker:
        await worker.run_until_finished()


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
    table = Table(title="The ten largest packages")
    for heading in ("package", "modules", "lines", "functions", "classes"):
        table.add_column(heading, justify="left" if heading == "package" else "right")
    table.add_column("longest function")
    for counts in sorted(totals, key=lambda counts: counts["lines"], reverse=True)[:10]:
        lines, function = counts["longest"]
        numbers = counts["modules"], counts["lines"], counts["functions"], counts["classes"]
        table.add_row(counts["name"], *(f"{number:,}" for number in numbers), f"{function} ({lines:,} lines)")
    console.print(table)


app = App(help="Index the standard library of the running Python with docket.")


@app.default
def main(
    *,
    url: Annotated[str, Parameter(help="The server of the docket.")] = "memory://stdlib",
    backend: Annotated[
        Literal["asyncio", "uvloop", "trio"], Parameter(help="The event loop to run on.")
    ] = "asyncio",
    workers: Annotated[int, Parameter(help="Workers in this process.")] = 2,
    concurrency: Annotated[int, Parameter(help="Tasks at a time, per worker.")] = 10,
) -> None:
    if backend == "trio":
        anyio.run(index, url, workers, concurrency, backend="trio")
    else:
        anyio.run(index, url, workers, concurrency, backend_options={"use_uvloop": backend == "uvloop"})


if __name__ == "__main__":
    app()
