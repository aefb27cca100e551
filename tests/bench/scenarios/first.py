"""What a fresh process takes to import docket, and to its first result. Here nothing is imported before docket is."""

from __future__ import annotations

import sys
import time

BEGAN = time.perf_counter(), time.process_time()


def took(name: str) -> dict[str, float]:
    """Milliseconds of this process: by the clock, and of the processor."""
    wall, cpu = time.perf_counter() - BEGAN[0], time.process_time() - BEGAN[1]
    return {f"{name}_ms": 1000 * wall, f"{name}_cpu_ms": 1000 * cpu}


async def seven() -> int:
    return 7


async def first(url: str) -> dict[str, float]:
    from docket import Docket, Worker

    async with Docket(name="bench-first", url=url) as docket:
        docket.register(seven)
        execution = await docket.add(seven)()
        async with Worker(docket) as worker:
            await worker.run_until_finished()
        assert await execution.get_result() == 7
        return took("first")


def main() -> None:
    import docket

    figures = took("import")
    if "--import" in sys.argv:
        assert docket.Docket
        figures |= took("client")  # what a program needs that adds tasks
        assert docket.Worker
        figures |= took("worker")
    else:
        import anyio

        url = sys.argv[sys.argv.index("--url") + 1]
        figures = anyio.run(first, url, backend="trio" if "trio" in sys.argv else "asyncio")
    import json

    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
