"""Find and flood: one perpetual task finds work and schedules a small task for each piece of it.

python examples/find_and_flood.py                         # needs no server
python examples/find_and_flood.py redis://localhost:6379/0 --backend trio
"""

from __future__ import annotations

from datetime import timedelta

import anyio
from loops import run_from_shell

from docket import CurrentDocket, Docket, Perpetual, Worker

ORDERS = iter(range(1, 10_000))


async def find_pending_orders(
    docket: Docket = CurrentDocket(),
    perpetual: Perpetual = Perpetual(every=timedelta(seconds=1), automatic=True),
) -> None:
    """Find work, every second, on one worker at a time. The task is automatic: the workers add it themselves."""
    pending = [next(ORDERS) for _ in range(5)]
    for order in pending:
        await docket.add(process_order, key=f"order-{order}")(order)
    print(f"queued {len(pending)} orders")


async def process_order(order: int) -> None:
    """Process one order, on any free worker; the key of the task keeps an order from being queued twice."""
    await anyio.sleep(0.05)
    print(f"  order {order} is done")


async def main(url: str) -> None:
    async with Docket(name="orders", url=url) as docket:
        docket.register(find_pending_orders)
        docket.register(process_order)
        async with Worker(docket) as worker:
            # A worker in production calls run_forever(); this one ends after three rounds.
            await worker.run_at_most({"find_pending_orders": 3})


if __name__ == "__main__":
    run_from_shell(main, "memory://orders")
