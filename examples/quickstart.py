"""A docket at a glance: work for now, work for later, and a worker that does both.

python examples/quickstart.py                             # needs no server
python examples/quickstart.py redis://localhost:6379/0 --backend trio
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from loops import run_from_shell

from docket import Docket, Worker


async def greet(name: str, greeting: str = "Hello") -> str:
    print(f"{greeting}, {name} at {datetime.now()}!")
    return f"{name} was greeted"


async def main(url: str) -> None:
    async with Docket(name="greetings", url=url) as docket:
        jane = await docket.add(greet)("Jane")

        now = datetime.now(UTC)
        soon = now + timedelta(seconds=3)
        await docket.add(greet, when=soon)("John", greeting="Howdy")

        async with Worker(docket) as worker:
            await worker.run_until_finished()

        print(await jane.get_result())


if __name__ == "__main__":
    run_from_shell(main, "memory://quickstart")
