"""A limit of one across four worker processes of all loops, some of them killed: never two at once, every task done."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from docket import Docket
from tests.where import one_loop
from tests.worker import limited

pytestmark = [pytest.mark.anyio, one_loop]

ROOT = Path(__file__).parents[2]
LOOPS = ("asyncio", "uvloop", "trio", "asyncio")


class Fleet:
    """Four processes; one that is killed is followed by another."""

    def __init__(self, url: str, name: str, ledger: Path) -> None:
        self.url, self.name, self.ledger = url, name, ledger
        self.processes = [self._start(at) for at in range(len(LOOPS))]

    def _start(self, at: int) -> subprocess.Popen[bytes]:
        words = [self.url, self.name, f"worker-{at}", LOOPS[at], str(self.ledger)]
        return subprocess.Popen([sys.executable, "-m", "tests.worker.limited", *words], cwd=ROOT)

    def kill(self, at: int) -> None:
        self.processes[at].send_signal(signal.SIGKILL)
        self.processes[at].wait()
        with self.ledger.open("a") as ledger:
            ledger.write(f"{time.monotonic_ns()} {self.processes[at].pid} killed -\n")
        self.processes[at] = self._start(at)

    def kill_who_runs(self) -> None:
        """The process whose body was the last to begin."""
        last = int(self.ledger.read_text().splitlines()[-1].split()[1])
        for at, process in enumerate(self.processes):
            if process.pid == last:
                self.kill(at)

    async def wait(self) -> None:
        for process in self.processes:
            assert await anyio.to_thread.run_sync(process.wait) == 0

    def begun(self) -> int:
        return self.ledger.read_text().count("begin") if self.ledger.exists() else 0


@contextmanager
def fleet(url: str, name: str, ledger: Path) -> Iterator[Fleet]:
    fleet = Fleet(url, name, ledger)
    try:
        yield fleet
    finally:
        for process in fleet.processes:
            process.kill()
            process.wait()


def overlaps(ledger: Path) -> list[str]:
    """Lines at which a body began while another one ran; a body whose process was killed has ended with it."""
    inside: set[str] = set()
    found: list[str] = []
    for line in sorted(ledger.read_text().splitlines(), key=lambda line: int(line.split()[0])):
        _, process, what, _ = line.split()
        if what == "begin":
            found += [line] if inside else []
            inside.add(process)
        else:
            inside.discard(process)
    return found


async def run(url: str, ledger: Path, tasks: int, kills: int) -> None:
    chance = random.Random(1)
    async with Docket("limited", url) as docket:
        docket.register(limited.task)
        await docket.add_many([docket.call(limited.task)(number) for number in range(tasks)])
        with fleet(url, "limited", ledger) as workers, anyio.fail_after(300):
            for kill in range(kills):
                target = (kill + 1) * tasks // (kills + 2)
                while workers.begun() < target:
                    await anyio.sleep(0.01)  # processes of their own say nothing else about where they are
                workers.kill_who_runs() if kill % 2 == 0 else workers.kill(chance.randrange(len(LOOPS)))
            await workers.wait()
        ended = Counter(line.split()[3] for line in ledger.read_text().splitlines() if " end " in line)
        assert set(ended) == {str(number) for number in range(tasks)}
        assert sum(ended.values()) - tasks <= kills  # done, and killed before it could be written down
        assert overlaps(ledger) == []
        assert await docket.concurrency() == []
        assert await docket.client.keys("limited:concurrency:*") == []


async def test_sixty_tasks_and_a_kill(redis_url: str, tmp_path: Path) -> None:
    await run(redis_url, tmp_path / "ledger", 60, 1)


@pytest.mark.chaos
async def test_a_thousand_tasks_and_ten_kills(redis_url: str, tmp_path: Path) -> None:
    await run(redis_url, tmp_path / "ledger", 1000, 10)
