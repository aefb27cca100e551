"""A Prefect server and a client of it: ``python drive_prefect.py URL PORT HOME`` prints what the client saw, as JSON.

Runs in an environment of Prefect's. URL is the docket's; on a Redis the loops of the server are looked for as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

URL, PORT, HOME = sys.argv[1], sys.argv[2], Path(sys.argv[3])
SETTINGS = {
    "PREFECT_HOME": str(HOME),
    "PREFECT_API_URL": f"http://127.0.0.1:{PORT}/api",
    "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{HOME}/prefect.db",
    "PREFECT_SERVER_DOCKET_URL": URL,
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
    "PREFECT_CLI_PROMPT": "false",
}
os.environ.update(SETTINGS)

from prefect import flow  # noqa: E402 - it reads its settings then
from prefect.client.orchestration import get_client  # noqa: E402
from prefect.client.schemas.actions import DeploymentScheduleCreate  # noqa: E402
from prefect.client.schemas.schedules import IntervalSchedule  # noqa: E402
from prefect.states import Scheduled  # noqa: E402


@flow
def add(a: int, b: int) -> int:
    return a + b


async def until(what: Callable[[], Awaitable[Any]], seconds: float = 400) -> Any:
    """What ``what`` returns, once that is something."""
    async with asyncio.timeout(seconds):
        while not (found := await what()):
            await asyncio.sleep(0.3)
    return found


async def ticked(began: float) -> list[str] | None:
    """The loops of the server, once each has run and waits for its next time."""
    import redis.asyncio

    async with redis.asyncio.from_url(URL, decode_responses=True) as client:
        loops: dict[str, bool] = {}
        async for key in client.scan_iter("prefect-server:runs:*"):
            if await client.type(key) == "hash":
                when, state = await client.hmget(key, "when", "state")
                loops[key.rpartition(":")[2]] = float(when or 0) > began + 1 and state in (
                    "scheduled",
                    "queued",
                )
    return sorted(loops) if len(loops) > 5 and all(loops.values()) else None


async def drive(began: float, server: subprocess.Popen[bytes]) -> dict[str, Any]:
    saw: dict[str, Any] = {}
    async with get_client() as client:
        await until(lambda: healthy(client, server))
        saw["sum of a flow"] = await asyncio.to_thread(add, 1, 2)
        runs = await client.read_flow_runs()
        saw["its state"] = [run.state_name for run in runs]

        async def scheduled() -> int:
            found = await client.read_flow_runs()
            return sum(run.deployment_id == hourly and run.state_name == "Scheduled" for run in found)

        async def late() -> bool:
            return (await client.read_flow_run(overdue.id)).state_name == "Late"

        name = await client.create_flow_from_name("hourly")
        every = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(hours=1)), active=True)
        hourly = await client.create_deployment(flow_id=name, name="hourly", schedules=[every])
        saw["scheduled runs"] = bool(await until(scheduled))
        overdue = await client.create_flow_run_from_deployment(
            hourly, state=Scheduled(scheduled_time=datetime.now(UTC) - timedelta(hours=1))
        )
        saw["late"] = await until(late)
    if URL.startswith("redis"):
        saw["loops"] = await until(lambda: ticked(began))
    return saw


async def healthy(client: Any, server: subprocess.Popen[bytes]) -> bool:
    if server.poll() is not None:
        raise RuntimeError(f"the server ended with {server.returncode}")
    return await client.api_healthcheck() is None


def main() -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    began = time.time()
    with open(HOME / "server.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", PORT],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=HOME,  # not a folder with a docket in it
        )
        try:
            saw = asyncio.run(drive(began, server))
        except BaseException:
            print((HOME / "server.log").read_text())
            raise
        finally:
            server.terminate()
            stopped = server.wait(60)
    saw["the server ended with"] = stopped
    print(json.dumps(saw))


if __name__ == "__main__":
    main()
