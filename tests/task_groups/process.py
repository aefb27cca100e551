"""A worker, or a program with a task group, in a process of its own: ``process.py ROLE NAME URL KEY=VALUE...``."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import anyio

from docket import Docket, Worker
from docket.task_group import openers
from tests.task_groups import tasks


async def work(docket: Docket, settings: dict[str, int]) -> None:
    timeout = timedelta(milliseconds=settings.get("redelivery_timeout", 300_000))
    worker = Worker(
        docket, "elsewhere", concurrency=settings.get("concurrency", 5), redelivery_timeout=timeout
    )
    await worker.run_forever()


async def open_a_group(docket: Docket, settings: dict[str, int]) -> None:
    openers.PROGRAM_LEASE = timedelta(milliseconds=settings["lease"])
    async with docket.task_group() as group:
        await group.add(tasks.endless, key="runs")("runs")
        await group.add(tasks.double, when=tasks.clock.now() + tasks.HOUR, key="waits")(1)


async def main(role: str, name: str, url: str, *given: str) -> None:
    settings: dict[str, Any] = {key: int(value) for key, _, value in (each.partition("=") for each in given)}
    async with Docket(name, url) as docket:
        for task in tasks.every:
            docket.register(task)
        await {"work": work, "open": open_a_group}[role](docket, settings)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
