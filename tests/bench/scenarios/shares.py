"""Who waits for whom: one tenant adds ``n`` tasks, then 99 others ten each. Which start is the last of those 990?

With ``--plain`` no task has a share. Besides: what each task that has started cost, the start of the worker with it.
"""

from __future__ import annotations

import argparse

import anyio
from meter import Meter, arguments, often, run

from docket import Docket, FairShare, Worker

FEW, OTHERS = 10, 99


class Starts:
    """How many there were, and which of them was the last of the others."""

    def __init__(self) -> None:
        self.count, self.last, self.left = 0, 0, OTHERS * FEW
        self.over = anyio.Event()

    def begun(self, tenant: int) -> None:
        self.count += 1
        if tenant:
            self.last, self.left = self.count, self.left - 1
            if not self.left:
                self.over.set()


async def main(given: argparse.Namespace) -> dict[str, float]:
    meter, starts = Meter(given.url), Starts()  # empties the server

    async def in_turns(tenant: int, share: FairShare = FairShare("tenant")) -> None:
        starts.begun(tenant)

    async def plain(tenant: int) -> None:
        starts.begun(tenant)

    task = plain if given.plain else in_turns
    async with Docket(name="bench-shares", url=given.url) as docket:
        docket.register(task)
        await docket.add_many([docket.call(task)(0) for _ in range(given.n)])
        others = [tenant for tenant in range(1, OTHERS + 1) for _ in range(FEW)]
        await docket.add_many([docket.call(task)(tenant) for tenant in others])
        meter.start()
        async with (
            Worker(docket, concurrency=given.concurrency, **often(given)) as worker,
            anyio.create_task_group() as group,
        ):
            group.start_soon(worker.run_forever)
            with anyio.fail_after(60 + given.n / 100):
                await starts.over.wait()
            figures = meter.took(starts.count)
            group.cancel_scope.cancel()
    return {"last": starts.last, "allowed": len(others) + FEW + 2 * given.concurrency, **figures}


if __name__ == "__main__":
    parser = arguments()
    parser.add_argument("--plain", action="store_true", help="without shares")
    run(main, parser.parse_args())
