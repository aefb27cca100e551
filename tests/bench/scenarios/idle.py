"""What a worker with nothing to do costs, each second of ``n``."""

from __future__ import annotations

import argparse
import os

import anyio
from drain import noop
from meter import Meter, arguments, run

from docket import Docket, Worker


async def main(given: argparse.Namespace) -> dict[str, float]:
    meter = Meter(given.url)
    async with Docket(name=f"bench-{os.getpid()}", url=given.url) as docket:
        docket.register(noop)
        async with Worker(docket) as worker, anyio.create_task_group() as group:
            group.start_soon(worker.run_forever)
            await anyio.sleep(2)
            meter.start()
            await anyio.sleep(given.n)
            took = meter.took(given.n)
            group.cancel_scope.cancel()
        percent = {name.replace("_us", "_percent"): took[name] / 1e4 for name in ("cpu_us", "server_us")}
        return {"calls_per_s": took["commands"], **percent}


if __name__ == "__main__":
    run(main, arguments().parse_args())
