"""Index the standard library of the running Python by task groups: the index of index_stdlib.py, without its counter.

A package is a task that opens a group with a task for each of its modules, and adds up what these return. The program
opens a group of packages, and shows each as it ends. A package that waits for its modules occupies nobody: one worker
that runs one task at a time is enough.

    python examples/task_groups.py
    python examples/task_groups.py --url redis://localhost:6379/0 --backend trio --workers 4
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import anyio
import anyio.to_process
from index_stdlib import Counts, command, console, count, modules, show
from rich.progress import track

from docket import CurrentDocket, Docket, Worker


async def index_module(path: str) -> Counts:
    """Parse one file and count, in another process: here it would block the event loop."""
    return await anyio.to_process.run_sync(count, path)


async def index_package(package: str, docket: Docket = CurrentDocket()) -> Counts:
    """Index all modules of a package, and add up."""
    async with docket.task_group() as group:
        parts = await group.add_many(group.call(index_module)(path) for path in modules()[package])
    return added_up(package, [await part.get_result() for part in parts])


def added_up(package: str, parts: Iterable[Counts]) -> Counts:
    total = Counts(name=package, modules=0, lines=0, functions=0, classes=0, longest=(0, ""))
    for part in parts:
        for field in ("modules", "lines", "functions", "classes"):
            total[field] += part[field]
        total["longest"] = max(total["longest"], part["longest"])
    return total


async def index(url: str, workers: int, concurrency: int) -> None:
    plan = modules()
    totals: list[Counts] = []
    started = time.perf_counter()
    async with Docket(name="stdlib-groups", url=url) as docket, anyio.create_task_group() as fleet:
        for task in (index_module, index_package):
            docket.register(task)
        for number in range(workers):
            worker = Worker(docket, name=f"worker-{number + 1}", concurrency=concurrency)
            fleet.start_soon(worker.run_forever)
        async with docket.task_group() as group:
            await group.add_many(group.call(index_package)(package) for package in plan)
            results = group.results()
            for _ in track(plan, "packages", console=console):
                package = await anext(results)
                totals.append(await package.get_result())
        fleet.cancel_scope.cancel()
    seconds = time.perf_counter() - started
    show(totals)
    console.print(f"{sum(map(len, plan.values()))} modules in {len(plan)} packages: {seconds:.1f} s")


if __name__ == "__main__":
    command(index, "Index the standard library of the running Python by task groups.")()
