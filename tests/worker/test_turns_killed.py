"""Fair shares where processes are killed: nothing is lost, doubled or starved."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Execution, FairShare, Worker

WORKER = """
    import sys, anyio
    from datetime import timedelta
    from docket import Docket, FairShare, Worker

    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> None:
        await anyio.sleep(0.001)

    async def main() -> None:
        async with Docket(sys.argv[1], sys.argv[2]) as docket:
            docket.register(job)
            print("up", flush=True)
            await Worker(docket, concurrency=4, redelivery_timeout=timedelta(milliseconds=400)).run_forever()

    anyio.run(main)
"""


@pytest.mark.anyio
async def test_nobody_starves_where_processes_are_killed(redis_url: str, anyio_backend: Any) -> None:
    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> None: ...

    def start() -> subprocess.Popen[str]:
        words = [sys.executable, "-c", textwrap.dedent(WORKER), "killed", redis_url]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    async with Docket("killed", redis_url) as docket:
        calls = [docket.call(job)(tenant, n) for tenant in "abcd" for n in range(150)]
        executions: list[Execution[Any]] = list(await docket.add_many(calls))
        for _ in range(3):
            child = start()
            assert child.stdout is not None
            await anyio.to_thread.run_sync(child.stdout.readline)
            await anyio.sleep(0.15)
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
        docket.register(job)
        with anyio.fail_after(60):
            await Worker(docket, redelivery_timeout=timedelta(milliseconds=400)).run_until_finished()
        for each in executions:
            await each.sync()
        assert {each.state.value for each in executions} == {"completed"}
        assert (await docket.snapshot()).total_tasks == 0
