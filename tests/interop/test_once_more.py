"""pydocket beside keys that run once more: its workers end runs without a word of what follows, and it is not lost."""

from __future__ import annotations

from typing import Any

import pytest

from docket import Disposition, Execution

from .sides import from_now
from .table import Table

pytestmark = pytest.mark.anyio

#: Seconds; the sweep comes after a quarter of it.
SWEEPS: dict[str, Any] = {"redelivery_timeout": 1}


async def once_more(table: Table, number: int, task: str = "tally") -> Execution[Any]:
    execution = await table.ours.docket.add(task, key="k", if_running="once_more")(number)
    assert execution.disposition is Disposition.ONCE_MORE
    return execution


async def held_by_pydocket(table: Table) -> None:
    await table.pydocket.start_worker("theirs", **SWEEPS)
    await table.pydocket.add("hold", key="k")
    assert await table.begun("k") == "theirs"


async def test_what_follows_a_run_of_pydockets_is_placed_by_a_sweep_of_ours(table: Table) -> None:
    await held_by_pydocket(table)
    execution = await once_more(table, 2)
    await once_more(table, 3)
    table.release()
    await table.reaches("k", "completed")
    assert table.runs() == {}
    await table.pydocket.stop_worker("theirs")
    await table.ours.start_worker("ours", **SWEEPS)
    await execution.get_result()
    assert table.runs() == {b"3": b"1"}
    await table.ours.stop_worker("ours")
    table.assert_left_clean()


async def test_without_a_sweep_the_next_call_takes_its_place(table: Table) -> None:
    await held_by_pydocket(table)
    await once_more(table, 2)
    table.release()
    await table.reaches("k", "completed")
    execution = await table.ours.docket.add("tally", key="k", if_running="once_more")(3)
    assert execution.disposition is Disposition.SCHEDULED
    await execution.get_result()
    await table.pydocket.stop_worker("theirs")
    assert table.runs() == {b"3": b"1"}


async def test_pydockets_workers_run_what_ours_have_placed(table: Table) -> None:
    await table.ours.start_worker("ours", **SWEEPS)
    await table.ours.add("hold", key="k")
    assert await table.begun("k") == "ours"
    execution = await once_more(table, 2)
    await table.pydocket.start_worker("theirs", **SWEEPS)
    table.release()
    await execution.get_result()
    assert table.runs() == {b"2": b"1"}
    assert "result" in await table.pydocket.outcome("k")
    await table.pydocket.stop_worker("theirs")
    await table.ours.stop_worker("ours")
    table.assert_left_clean()


async def test_a_cancel_of_pydockets_stops_the_run_and_what_follows_comes(table: Table) -> None:
    await table.ours.start_worker("ours", **SWEEPS)
    await table.ours.add("hold", key="k")
    await table.begun("k")
    execution = await once_more(table, 2)
    await table.pydocket.cancel("k")
    await execution.get_result()
    await table.ours.stop_worker("ours")
    assert table.runs() == {b"2": b"1"}


async def test_a_replacement_of_pydockets_is_followed(table: Table) -> None:
    await table.ours.start_worker("ours", **SWEEPS)
    await table.ours.add("hold", key="k")
    await table.begun("k")
    execution = await once_more(table, 2)
    await table.pydocket.replace("tally", 3, key="k", when=from_now(0))
    table.release()
    await execution.get_result()
    await table.ours.stop_worker("ours")
    assert table.runs() == {b"2": b"1", b"3": b"1"}
