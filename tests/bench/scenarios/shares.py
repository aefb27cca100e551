"""Who waits for whom: one tenant adds ``n`` tasks, then 99 others ten each. Which start is the last of those 990?

With ``--plain`` no task has a share. Besides: the server's commands for each task, those inside of scripts counted.
"""

from __future__ import annotations

import anyio
from meter import Meter, arguments, often, run

from docket import Docket, FairShare, Worker

FEW, OTHERS = 10, 99
STARTED: list[int] = []


async def job(tenant: int, share: FairShare = FairShare("tenant")) -> None:
    STARTED.append(tenant)


async def plain(tenant: int) -> None:
    STARTED.append(tenant)


async def main(given: object) -> dict[str, float]:
    Meter(given.url)  # empties the server
    task = plain if given.plain else job
    async with Docket(name="bench-shares", url=given.url) as docket:
        docket.register(task)
        await docket.add_many([docket.call(task)(0) for _ in range(given.n)])
        await docket.add_many(
            [docket.call(task)(tenant) for tenant in range(1, OTHERS + 1) for _ in range(FEW)]
        )
        async with docket.redis() as redis:
            await redis.config_resetstat()
            async with (
                Worker(docket, concurrency=given.concurrency, **often(given)) as worker,
                anyio.create_task_group() as group,
            ):
                group.start_soon(worker.run_forever)
                with anyio.fail_after(60 + given.n / 100):
                    while sum(map(bool, STARTED)) < OTHERS * FEW:
                        await anyio.sleep(0.05)
                group.cancel_scope.cancel()
            stats = await redis.info("commandstats")
    commands = sum(each["calls"] for each in stats.values())
    last = max(at for at, tenant in enumerate(STARTED, 1) if tenant)
    return {
        "last_of_the_few": last,
        "allowed": (OTHERS + 1) * FEW + 2 * given.concurrency,
        "commands_per_task": commands / len(STARTED),
    }


if __name__ == "__main__":
    parser = arguments()
    parser.add_argument("--plain", action="store_true", help="without shares")
    run(main, parser.parse_args())
