"""Place ``n`` tasks: one by one, 50 adds at once, or by ``add_many``, which pydocket has as well."""

from __future__ import annotations

import argparse
import os

from drain import noop, place
from meter import PAD, Meter, arguments, run, settings

from docket import Docket


async def main(given: argparse.Namespace) -> dict[str, float]:
    meter, n = Meter(given.url), given.n
    async with Docket(name=f"bench-{os.getpid()}", url=given.url, **settings(given)) as docket:
        docket.register(noop)
        await docket.add(noop)(0, PAD)
        before = meter.memory()
        meter.start()
        if given.way == "one":
            for i in range(n):
                await docket.add(noop)(i, PAD)
        elif given.way == "fifty":
            await place(docket, noop, n)
        else:
            await docket.add_many([docket.call(noop)(i, PAD) for i in range(n)])
        figures = meter.took(n)
        return {**figures, "server_bytes": (meter.memory() - before) / n}


if __name__ == "__main__":
    parser = arguments()
    parser.add_argument("--way", default="one", choices=("one", "fifty", "many"))
    run(main, parser.parse_args())
