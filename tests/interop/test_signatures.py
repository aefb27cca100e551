"""Beside pydocket: it reads what is signed, and a docket that accepts what is not runs what it adds."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from docket import Docket, Worker
from docket.errors import Untrusted

from . import tasks
from .table import Table

pytestmark = pytest.mark.anyio

KEY = "the key of those who sign, long enough"


@asynccontextmanager
async def signing(table: Table, mode: str = "require") -> AsyncGenerator[Docket]:
    settings = {"signing_keys": [KEY], "signatures": mode}
    async with Docket(table.name, table.url, **settings) as docket:  # pyright: ignore[reportArgumentType]
        docket.register(tasks.echo)
        docket.register(tasks.tally)
        yield docket


async def test_pydockets_workers_run_what_is_signed(table: Table) -> None:
    async with signing(table) as docket:
        execution = await docket.add(tasks.echo, key="signed")("ü")
        await table.pydocket.drain("theirs")
        assert (await table.pydocket.outcome("signed"))["result"] == "ü"
        with pytest.raises(Untrusted, match="its worker has no signing_keys"):
            await execution.get_result()


async def test_pydockets_clients_read_the_results_of_a_worker_that_signs(table: Table) -> None:
    async with signing(table, "accept") as docket:
        await table.pydocket.add("echo", ["a", 1], key="theirs")
        await docket.add(tasks.echo, key="ours")("b")
        async with Worker(docket) as worker:
            await worker.run_until_finished()
        assert (await table.pydocket.outcome("theirs"))["result"] == ["a", 1]
        assert (await table.pydocket.outcome("ours"))["result"] == "b"


async def test_what_pydocket_adds_is_set_aside_where_signatures_are_required(table: Table) -> None:
    async with signing(table) as docket:
        await table.pydocket.add("tally", 1, key="theirs")
        await docket.add(tasks.tally, key="ours")(2)
        async with Worker(docket) as worker:
            await worker.run_until_finished()
        assert table.runs() == {b"2": b"1"}
        execution = await docket.get_execution("theirs")
        assert execution is not None
        assert "is not signed" in (execution.error or "")


async def test_pydocket_reads_strikes_that_are_signed(table: Table) -> None:
    async with signing(table) as docket:
        await docket.strike("tally", "n", "==", 3)
        await docket.strike("sentinel")
        assert ["tally", "n", "==", "3"] in await table.pydocket.strikes("sentinel")
        await docket.restore("tally", "n", "==", 3)
