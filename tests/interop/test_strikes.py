"""Strikes of either side are in force on the other; what ours removes from the stream pydocket does not miss."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from docket import Docket, StrikeList
from docket.strikelist import Operator, Strike
from tests.servers import Server
from tests.where import one_loop

from .conftest import laid
from .sides import Program, RemoteDocket
from .table import Table, start_pydocket

pytestmark = pytest.mark.anyio


async def test_what_pydocket_strikes_is_in_force_here_at_once(table: Table) -> None:
    await table.ours.add("tally", 1, key="waits")
    await table.pydocket.strike("tally", None, "==", None)
    assert (await table.ours.add("tally", 2))["disposition"] == "struck"
    await table.ours.drain("ours")
    assert (await table.ours.execution("waits"))["state"] == "cancelled"
    await table.pydocket.strike("tally", None, "==", None, direction="restore")
    assert (await table.ours.add("tally", 3))["disposition"] == "scheduled"
    await table.ours.drain("ours")
    assert table.runs() == {b"3": b"1"}


async def test_what_we_strike_is_in_force_for_pydocket(table: Table) -> None:
    """As soon as it has read it: there is a window on that side."""
    await table.pydocket.add("tally", 1, key="waits")
    await table.ours.docket.strike(None, "n", "between", (1, 5))
    await table.ours.docket.strike("sentinel")
    assert await table.pydocket.strikes("sentinel") == [
        ["*", "n", "between", "(1, 5)"],
        ["sentinel", "*", "==", "None"],
    ]
    assert (await table.pydocket.add("tally", 5))["disposition"] == "struck"
    assert (await table.pydocket.add("tally", 6))["disposition"] == "scheduled"
    await table.pydocket.drain("theirs")
    assert table.runs() == {b"6": b"1"}
    assert (await table.ours.execution("waits"))["state"] == "cancelled"


VALUES: list[Any] = [None, 0, 1, 1.0, 2, 5, -3, "1", "low", "medium", True, 2.5]


@one_loop
@pytest.mark.parametrize(
    "words",
    [
        ("echo", "value", "==", 1), ("echo", "value", "!=", 1), (None, "value", ">", 1), ("echo", "value", ">=", 2),
        ("echo", "value", "<", 2), (None, "value", "<=", "low"), ("echo", "value", "between", [1, 2]),
        ("echo", "value", "==", None), ("echo", None, "==", None), ("tally", None, "==", None),
        (None, "nothing", "!=", 1),
    ],
)  # fmt: skip
async def test_both_judge_alike(table: Table, words: tuple[Any, ...]) -> None:
    await table.pydocket.strike(*words)
    await table.pydocket.strike("sentinel", None, "==", None)
    await table.pydocket.strikes("sentinel")
    judged: dict[str, list[str]] = {}
    for name in "pydocket", "ours":
        side = table.side(name)
        judged[name] = [(await side.add("echo", value))["disposition"] for value in VALUES]
        judged[name].append((await side.add("echo"))["disposition"])
    assert judged["ours"] == judged["pydocket"]


async def test_both_write_the_same(twins: dict[str, Table]) -> None:
    every: list[tuple[Any, ...]] = [
        ("f", None, "==", None), ("f", "p", "==", 3), (None, "p", ">", "x"), ("f", "p", "between", (1, 2)),
    ]  # fmt: skip
    for words in every:
        await twins["ours"].ours.docket.strike(*words)
        await twins["pydocket"].pydocket.strike(*words)
    await twins["ours"].ours.docket.restore("nothing")
    await twins["pydocket"].pydocket.strike("nothing", None, "==", None, direction="restore")
    written = {
        name: [fields for _, fields in table.redis.xrange(f"{table.name}:strikes")]
        for name, table in twins.items()
    }
    assert len(written["ours"]) == 5
    assert written["ours"] == written["pydocket"]


@pytest.fixture
async def newcomer(pydocket_python: str) -> AsyncGenerator[Program, None]:
    program = start_pydocket(pydocket_python)
    yield program
    program.close()


async def _pairs(table: Table, count: int) -> int:
    """Strike and restore over and over; the most that was on the stream at a time."""
    docket, most = table.ours.docket, 0
    for n in range(count):
        await docket.strike("f", "p", "==", n % 7)
        await docket.strike("g", "q", ">", n % 3)
        await docket.restore("f", "p", "==", n % 7)
        if n % 100 == 0:
            most = max(most, table.redis.xlen(f"{table.name}:strikes"))
        if n % 500 == 0:
            await table.pydocket.strike("h", "r", "==", n)
    await docket.strike("f", "p", "==", 3)
    await docket.restore("g", "q", ">", 1)
    await docket.strike("sentinel")
    return most


async def _agree(table: Table, newcomer: Program) -> list[list[str]]:
    """What one pydocket that read all along, and one that reads from the start, make of the stream."""
    meanwhile = await table.pydocket.strikes("sentinel")
    anew = RemoteDocket(newcomer, table.name, table.url)
    assert await anew.strikes("sentinel") == meanwhile
    async with StrikeList(table.url, table.name) as strikes:
        ours = {strike.call_repr() for strike in strikes.strikes()}
    assert ours == {strike.call_repr() for strike in await table.ours.docket.strikes()}
    assert len(ours) == len(meanwhile)
    return meanwhile


@one_loop
async def test_the_stream_stays_small_and_pydocket_reads_the_same_from_it(
    table: Table, newcomer: Program
) -> None:
    assert await _pairs(table, 600) <= 7 + 3 + 3
    assert table.redis.xlen(f"{table.name}:strikes") <= 7 + 3 + 3
    assert await _agree(table, newcomer) == [
        ["f", "p", "==", "3"], ["g", "q", ">", "0"], ["g", "q", ">", "2"],
        ["h", "r", "==", "0"], ["h", "r", "==", "500"], ["sentinel", "*", "==", "None"],
    ]  # fmt: skip


@pytest.mark.chaos
async def test_ten_thousand_pairs_of_strike_and_restore(
    server: Server, peer: Program, newcomer: Program, anyio_backend: object
) -> None:
    async with laid(server, peer) as table:
        with anyio.fail_after(300):
            assert await _pairs(table, 10_000) <= 7 + 3 + 21
            await _agree(table, newcomer)


async def test_an_instruction_of_pydockets_that_cannot_be_unpickled_here_harms_no_other(table: Table) -> None:
    table.redis.xadd(
        f"{table.name}:strikes",
        {
            "direction": "strike",
            "function": "echo",
            "parameter": "value",
            "operator": "==",
            "value": b"\x80\x05junk",
        },
    )
    await table.pydocket.strike("tally", None, "==", None)
    assert (await table.ours.add("tally", 1))["disposition"] == "struck"
    assert (await table.ours.add("echo", 1))["disposition"] == "scheduled"


async def test_a_whole_task_stays_struck_beside_its_parameters(table: Table) -> None:
    """pydocket forgets the whole task as soon as one of its parameters is struck. That is not followed."""
    async with Docket(table.name, table.url) as docket:
        for words in ("echo", None, "==", None), ("echo", "value", "==", 1):
            await table.pydocket.strike(*words)
        await docket.wait_for_strikes_loaded()
        assert set(docket.strike_list.strikes()) == {
            Strike("echo", None, Operator.EQUAL, None),
            Strike("echo", "value", Operator.EQUAL, 1),
        }
        assert (await table.ours.add("echo", 2))["disposition"] == "struck"
