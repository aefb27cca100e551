"""pydocket beside tasks that expire: its workers run what they get, and nothing of theirs breaks."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from docket.errors import ExecutionExpired

from .sides import from_now
from .table import Table

pytestmark = pytest.mark.anyio


async def test_pydockets_workers_run_what_has_expired_and_ours_do_not(table: Table) -> None:
    soon = timedelta(milliseconds=1)
    ours = table.ours.docket
    await ours.add("tally", key="theirs", expires=soon)(1)
    await anyio.sleep(0.01)
    await table.pydocket.start_worker("theirs")
    assert "result" in await table.pydocket.outcome("theirs")
    await table.pydocket.stop_worker("theirs")
    await table.ours.start_worker("ours")
    execution = await ours.add("tally", key="ours", expires=timedelta(0))(2)
    with pytest.raises(ExecutionExpired):
        await execution.get_result()
    assert (await table.pydocket.outcome("ours"))["error"] == "ExecutionCancelled"
    await table.ours.stop_worker("ours")
    assert table.runs() == {b"1": b"1"}


async def test_what_pydockets_clients_put_in_the_place_of_what_expires_does_not(table: Table) -> None:
    ours = table.ours.docket

    await ours.add("tally", key="k", expires=timedelta(milliseconds=300))(1)
    await table.pydocket.replace("tally", 2, key="k", when=from_now(0.6))
    await table.ours.start_worker("ours")
    assert "result" in await table.ours.outcome("k")
    assert table.runs() == {b"2": b"1"}


async def test_what_pydockets_clients_cancel_is_gone(table: Table) -> None:
    ours = table.ours.docket
    await ours.add("tally", key="k", expires=timedelta(milliseconds=300))(1)
    await table.pydocket.cancel("k")
    await table.ours.start_worker("ours")
    await anyio.sleep(0.5)
    assert (await table.pydocket.outcome("k"))["error"] == "ExecutionCancelled"
    assert table.runs() == {}
    assert not await ours.client.exists(ours.keys.expiring)
