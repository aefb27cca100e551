"""Client instructions per task, counted by callgrind, which runs this: ``valgrind <OPTIONS of counts.py> python ...``.

Each figure is the difference of a long and a short run, so what a run costs once is left out. ``calibration`` is the
same for a step of plain Python: what depends on how the interpreter was built is in both.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from drain import KINDS, call_of, three
from meter import Meter, arguments, run, settings

from docket import Docket, Worker
from docket.worker.reports import ledger

WARM, SHORT, LONG = 40, 50, 250
SELDOM = timedelta(hours=1)  #: what a worker does now and then would count, since callgrind makes it slow


class Callgrind:
    """Counts what runs inside of ``counting``; writes a file for each, whose last part is a number."""

    def __init__(self, output: Path) -> None:
        self._output, self._dumps = output, 0

    def _tell(self, *words: str) -> None:
        subprocess.run(["vgdb", f"--pid={os.getpid()}", *words], check=True, capture_output=True)

    @contextmanager
    def counting(self) -> Iterator[list[int]]:
        counted: list[int] = []
        gc.collect()
        self._tell("instrumentation", "on")
        yield counted
        self._tell("instrumentation", "off")
        self._tell("dump")
        self._dumps += 1
        written = Path(f"{self._output}.{self._dumps}").read_text(encoding="utf-8")
        counted.append(int(written.rpartition("totals:")[2].split()[0]))


class Step:
    def __init__(self) -> None:
        self.kept: dict[str, tuple[int, bytes]] = {}

    def take(self, i: int) -> int:
        name = f"step-{i % 64}"
        self.kept[name] = (i, name.encode())
        return sum(len(key) for key in list(self.kept)[:8])


def calibrate(n: int) -> None:
    step = Step()
    for i in range(n):
        step.take(i)


def difference(counted: dict[int, int]) -> float:
    return (counted[LONG] - counted[SHORT]) / (LONG - SHORT)


async def main(given: argparse.Namespace) -> dict[str, float]:
    callgrind, figures = Callgrind(given.output), dict[str, float]()
    Meter(given.url)
    ledger.WAIT_SECONDS = SELDOM.total_seconds()  # one batch in each run, which writes its rows as it ends
    calibrate(LONG)
    added: dict[int, int] = {}
    async with Docket(name="bench", url=given.url, heartbeat_interval=SELDOM, **settings(given)) as docket:
        for kind in given.kinds.split(","):
            task, drained, awaited = KINDS[kind], dict[int, int](), dict[int, int]()
            docket.register(task)
            for n in (WARM, SHORT, LONG):  # the first warms up
                placed = await docket.add_many([docket.call(task)(*call_of(task, i)) for i in range(n)])
                async with Worker(docket, concurrency=given.concurrency, redelivery_timeout=SELDOM) as worker:
                    with callgrind.counting() as counted:
                        await worker.run_until_finished()
                drained[n] = counted[0]
                if task is three:
                    with callgrind.counting() as counted:
                        for each in placed:
                            await each.get_result()
                    awaited[n] = counted[0]
            figures[kind] = difference(drained)
            if awaited:
                figures["get_result"] = difference(awaited)
        for n in (WARM, SHORT, LONG):
            with callgrind.counting() as counted:
                for i in range(n):
                    await docket.add(task)(*call_of(task, i))
            added[n] = counted[0]
        figures["add"] = difference(added)
    calibrated: dict[int, int] = {}
    for n in (SHORT, LONG):
        with callgrind.counting() as counted:
            calibrate(n)
        calibrated[n] = counted[0]
    return figures | {"calibration": difference(calibrated)}


if __name__ == "__main__":
    parser = arguments()
    parser.add_argument("--kinds", default="noop")
    parser.add_argument("--output", type=Path, required=True)
    run(main, parser.parse_args())
