"""A FastMCP server and its client in one process: ``python drive_fastmcp.py URL`` prints what the client saw, as JSON.

Runs in an environment of FastMCP's; knows of docket what FastMCP knows.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from fastmcp import FastMCP
from fastmcp.client import Client
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import Progress
from fastmcp_tasks import TasksExtension, call_tool_task

URL = sys.argv[1]

server = FastMCP("driven")
server.add_extension(TasksExtension(url=URL, name="driven", concurrency=5))
begun, go_on = asyncio.Event(), asyncio.Event()
cancelled: list[str] = []


@server.tool(task=True)
async def multiply(a: int, b: int) -> int:
    return a * b


@server.tool(task=True)
async def fail() -> str:
    raise ValueError("out of paper")


@server.tool(task=True)
async def count(progress: Progress = Progress()) -> str:
    await progress.set_total(3)
    await progress.increment(2)
    await progress.set_message("two of three")
    begun.set()
    await go_on.wait()
    return f"{progress.current} of {progress.total}"


@server.tool(task=True)
async def sleep() -> None:
    begun.set()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        cancelled.append("sleep")
        raise


async def text_within(seconds: float, task: Any, wanted: str) -> str:
    """What the status of a task says, once it is ``wanted`` or the time is over."""
    async with asyncio.timeout(seconds):
        while True:
            status = await task.status()
            if (status.status_message or "") == wanted:
                return wanted
            await asyncio.sleep(0.05)


async def drive() -> dict[str, Any]:
    saw: dict[str, Any] = {}
    async with Client(server, mode="auto") as client:
        task = await call_tool_task(client, "multiply", {"a": 6, "b": 7})
        saw["result"] = (await task.result()).data
        saw["state after it"] = (await task.status()).status
        saw["time to live, ms"] = (await task.status()).ttl_ms

        task = await call_tool_task(client, "fail", {})
        try:
            await task.result()
        except ToolError as error:
            saw["failure"] = "out of paper" in str(error)

        task = await call_tool_task(client, "count", {})
        async with asyncio.timeout(20):
            await begun.wait()
        saw["progress"] = await text_within(20, task, "two of three")
        saw["state at work"] = (await task.status()).status
        go_on.set()
        saw["progress after it"] = (await task.result()).data
        begun.clear()

        task = await call_tool_task(client, "sleep", {})
        async with asyncio.timeout(20):
            await begun.wait()
        await task.cancel()
        async with asyncio.timeout(20):
            while (await task.status()).status != "cancelled" or not cancelled:
                await asyncio.sleep(0.05)
        saw["cancelled"] = cancelled

        tasks = [await call_tool_task(client, "multiply", {"a": n, "b": n}) for n in range(50)]
        saw["fifty at once"] = sum([(await task.result()).data for task in tasks])
    return saw


print(json.dumps(asyncio.run(asyncio.wait_for(drive(), 120))))
