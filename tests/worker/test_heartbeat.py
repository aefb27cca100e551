"""How often a worker beats, by which commands, and by whose clock. In virtual time: the server is not asked."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from docket import clock
from docket.notification import Notification
from docket.store import Beat, Lanes, Liveness
from docket.worker.upkeep.heartbeat import Heartbeat
from docket.worker.upkeep.outages import Outages
from docket.worker.upkeep.server_time import ServerTime
from tests.where import virtual_time

pytestmark = [pytest.mark.anyio, virtual_time]

#: The server's clock is so far ahead of ours.
AHEAD = 600.0

TASKS = ["f", "trace", "fail", "sleep"]


class Written(Liveness):
    """Notes what a heartbeat writes, and when, in seconds since its begin; answers at once."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(is_memory=False), None, timedelta(seconds=10))  # type: ignore[arg-type]
        self.began, self.scripts, self.again = clock.monotonic(), [], []  # type: ignore[var-annotated]
        self.forgets = False

    async def beat(
        self, worker: str, tasks: Collection[str], *, tasks_too: bool, drains: bool = False, serves: str = ""
    ) -> Beat:
        self.scripts.append((round(clock.monotonic() - self.began), tasks_too))
        return Beat(None, None, clock.timestamp() + AHEAD)

    async def beat_again(
        self, worker: str, at: float, tasks: Collection[str] = (), *, drains: bool = False, serves: str = ""
    ) -> Beat:
        assert abs(at - clock.timestamp() - AHEAD) < 0.001
        self.again.append((round(clock.monotonic() - self.began), len(tasks)))
        return Beat(None, None, at, (), self.forgets)


async def beats_of(seconds: float, written: Written, tasks: list[str]) -> None:
    scheduler: Any = SimpleNamespace(note_first=lambda when: None)  # type: ignore[var-annotated]
    outages = Outages(timedelta(seconds=1), "a server", ("d", "w"))
    heartbeat = Heartbeat(
        written,
        "w",
        lambda: tasks,
        timedelta(seconds=2),
        scheduler,
        outages,
        lambda: False,
        Lanes(written.keys),
        Notification(),
    )
    with anyio.move_on_after(seconds):
        await heartbeat.run(lambda: None)


async def test_an_idle_worker_sends_less_than_two_commands_a_second() -> None:
    """In 20 minutes; those inside of heartbeat.lua are counted."""
    written = Written()
    await beats_of(1199, written, TASKS)
    assert len(written.scripts) + len(written.again) == 600  # each two seconds, as pydocket's workers
    # EVALSHA, TIME, ZSCORE, ZADD and two ZRANGE; where it writes lists four more, and two for each task
    scripts = sum(6 + (4 + 2 * len(TASKS)) * lists for _, lists in written.scripts)
    assert (scripts, sum(2 + tasks for _, tasks in written.again)) == (198, 1734)
    others = 240 + 40 + 100  # XREADGROUP, the listener's PING, sweeps
    assert (198 + 1734 + others) / 1200 < 2


async def test_each_task_is_named_so_often_that_pydocket_sees_it_even_if_one_beat_fails() -> None:
    written = Written()
    await beats_of(1199, written, TASKS)
    named = sorted(
        [at for at, lists in written.scripts if lists] + [at for at, tasks in written.again if tasks]
    )
    assert max(after - before for before, after in itertools.pairwise(named)) == 8  # and it looks for 10


async def test_a_new_task_and_a_forgetful_server_have_the_lists_written_at_the_next_beat() -> None:
    written, tasks = Written(), [*TASKS]
    async with anyio.create_task_group() as group:
        group.start_soon(beats_of, 99, written, tasks)
        await anyio.sleep(21)
        tasks.append("g")
        await anyio.sleep(20)
        written.forgets = True
        await anyio.sleep(2)
        written.forgets = False
    assert [at for at, lists in written.scripts if lists and at % 8] == [22, 44]


@pytest.mark.parametrize(
    ("took", "slept", "known"),
    [(0.0, 0.0, True), (0.3, 0.0, False), (0.0, 3600.0, False)],
    ids=["prompt", "late answer", "the machine slept"],
)
async def test_the_servers_time_is_counted_on_from_prompt_answers_while_our_clocks_agree(
    monkeypatch: pytest.MonkeyPatch, took: float, slept: float, known: bool
) -> None:
    server, asked = ServerTime(), clock.monotonic()
    assert server.now() is None
    await anyio.sleep(took)
    server.read(1_000_000.0, asked)
    await anyio.sleep(59)
    wall = clock.timestamp() + slept
    monkeypatch.setattr(clock, "timestamp", lambda: wall)
    assert server.now() == (pytest.approx(1_000_059.0) if known else None)
    monkeypatch.undo()
    await anyio.sleep(1)
    assert server.now() is None
