"""How many tasks the reader takes at a time, and when it asks for more. In virtual time, where a take takes none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from docket import Docket, Worker
from docket.store import Claims
from tests.where import virtual_time
from tests.worker.conftest import working

pytestmark = [pytest.mark.anyio, virtual_time]


class Takes:
    """The takes of a worker: when, how many tasks each asked for, and how many came."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.all: list[tuple[float, int, int]] = []
        take = Claims.take_settling

        async def noted(claims: Claims, count: int, ended: Sequence[Any], *, asked: str = "") -> Any:
            taken, settled = await take(claims, count, ended, asked=asked)
            self.all.append((anyio.current_time(), count, len(taken)))
            return taken, settled

        patch.setattr(Claims, "take_settling", noted)


@pytest.fixture
async def docket() -> Any:
    async with Docket("taking", "memory://") as docket:
        yield docket


async def test_a_worker_that_waits_for_places_takes_few_tasks_at_a_time(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow() -> None:
        await anyio.sleep(0.1)

    takes = Takes(monkeypatch)
    await docket.add_many([docket.call(slow)() for _ in range(120)])
    began = anyio.current_time()
    await Worker(docket, concurrency=40).run_until_finished()
    assert [taken for _, _, taken in takes.all if taken] == [10] * 12
    assert anyio.current_time() - began == pytest.approx(0.3)  # and yet no place is left empty


async def test_a_worker_that_never_waits_for_long_takes_as_many_as_it_has_places(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def quick() -> None:
        await anyio.sleep(0.001)

    takes = Takes(monkeypatch)
    await docket.add_many([docket.call(quick)() for _ in range(200)])
    await Worker(docket, concurrency=40).run_until_finished()
    counts = [taken for _, _, taken in takes.all if taken]
    assert counts == [10] * 4 + [40] * 4  # one that begins has had time


async def test_a_worker_whose_tasks_end_at_once_takes_as_many_as_it_has_places(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing() -> None: ...

    takes = Takes(monkeypatch)
    await docket.add_many([docket.call(nothing)() for _ in range(130)])
    await Worker(docket, concurrency=40).run_until_finished()
    counts = [taken for _, _, taken in takes.all if taken]
    assert counts[0] == 10  # who knows how long they take
    assert max(counts) > 20  # on trio a part of those that were taken together may end after the others


async def test_a_worker_that_got_all_there_was_waits_in_the_server_while_those_tasks_run(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another take would bring nothing."""
    begun, end = anyio.Event(), anyio.Event()

    async def long() -> None:
        begun.set()
        await end.wait()

    takes = Takes(monkeypatch)
    worker = Worker(docket)
    async with working(worker):
        await anyio.sleep(1)
        before = len(takes.all)
        await docket.add(long)()
        await begun.wait()
        await anyio.sleep(1)
        assert len(takes.all) == before
        end.set()
