"""A `StrikeList` by itself: for programs that have no docket, or no server."""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from redis.exceptions import RedisError

from docket import Docket, Execution, StrikeList, strikelist
from docket.strikelist import Operator, Restore, Strike, StrikeInstruction
from docket.transport.tail import HELD, OVERLAP
from tests.docket.conftest import add, later
from tests.servers import Server

pytestmark = pytest.mark.anyio


@pytest.fixture
async def strikes(url: str) -> AsyncIterator[StrikeList]:
    async with StrikeList(url, "d") as strikes:
        yield strikes


async def becomes(strikes: StrikeList, stricken: bool, **values: Any) -> None:
    """Use the list until it knows: the server has told it, but that may be on its way."""
    with anyio.fail_after(10):
        while strikes.is_stricken(values) is not stricken:
            await anyio.lowlevel.checkpoint()


async def test_a_list_without_a_server_is_changed_by_hand(docket: Docket) -> None:
    strikes = StrikeList()
    assert (strikes.name, strikes.url, strikes.prefix, strikes.strike_key) == (
        "strikelist", None, "strikelist", "strikelist:strikes",
    )  # fmt: skip
    await strikes.wait_for_strikes_loaded()
    strikes.update(Strike(None, "a", Operator.EQUAL, 1))
    strikes.update(Strike("add", "b", Operator.GREATER_THAN, 5))
    assert strikes.is_stricken({"a": 1})
    assert not strikes.is_stricken({"a": 2, "b": 10}), "no task is named"
    one, big, fine = (Execution(docket, add, args, {}, "k", later(), 1) for args in ((1,), (0, 6), (0, 5)))
    assert [strikes.is_stricken(each) for each in (one, big, fine)] == [True, True, False]
    strikes.add_condition(lambda execution: execution.args == (0, 5))
    assert strikes.is_stricken(fine)
    strikes.update(Restore(None, "a", Operator.EQUAL, 1))
    assert not strikes.is_stricken(one)
    assert strikes.strikes() == [Strike("add", "b", Operator.GREATER_THAN, 5)]


async def test_a_list_without_a_server_cannot_send(memory_url: str) -> None:
    for strikes in StrikeList(), StrikeList(memory_url):
        with pytest.raises(RuntimeError, match="not connected to Redis"):
            await strikes.strike("f")
    async with StrikeList() as local:
        with pytest.raises(RuntimeError, match="not connected to Redis"):
            await local.restore("f")


async def test_what_is_struck_elsewhere_is_known_without_awaiting(
    strikes: StrikeList, docket: Docket
) -> None:
    for n in range(5):
        await docket.strike(None, "a", "==", n)
        await becomes(strikes, True, a=n)
        await docket.restore(None, "a", "==", n)
        await becomes(strikes, False, a=n)
    await docket.strike(add)
    await docket.strike(add, "b", "between", (1, 2))
    await docket.strike(None, "z")
    await becomes(strikes, True, z=None)
    assert strikes.task_strikes == {"add": {"b": {("between", (1, 2))}}}
    assert strikes.parameter_strikes == {"z": {("==", None)}}
    assert strikes.is_stricken(Execution(docket, add, (1,), {}, "k", later(), 1))


async def test_one_look_knows_of_everything_that_came_since_the_last(
    strikes: StrikeList, docket: Docket
) -> None:
    for n in range(20):
        await docket.strike(None, "a", "==", n)
    await docket.client.ping()  # by now the server has told the list of all of them
    assert all(strikes.is_stricken({"a": n}) for n in range(20))


async def test_what_was_struck_before_is_known_when_the_list_is_entered(url: str, docket: Docket) -> None:
    for n in range(80):
        await docket.strike(None, "a", "==", n)
    async with StrikeList(url, "d") as strikes:
        assert strikes.is_stricken({"a": 79})
        assert len(strikes.strikes()) == 80


async def test_a_list_strikes_and_restores(strikes: StrikeList, docket: Docket) -> None:
    await strikes.strike("add", "a", "==", 1)
    assert strikes.task_strikes == {"add": {"a": {("==", 1)}}}
    assert [s.call_repr() for s in await docket.strikes()] == ["add(a == 1)"]
    await docket.strike(None, "z", "==", 3)
    await strikes.restore("add", "a", "==", 1)
    assert strikes.task_strikes == {}
    assert strikes.is_stricken({"z": 3}), "what came in between was read with it"
    await strikes.send_instruction(Strike(None, "y", Operator.EQUAL, 4))
    assert strikes.is_stricken({"y": 4})


async def test_who_waits_knows_everything_that_the_server_holds(strikes: StrikeList, docket: Docket) -> None:
    """Also more than the server tells to one who does not look."""
    for n in range(150):
        await docket.strike(None, "a", "==", n)
    await strikes.wait_for_strikes_loaded()
    assert strikes.is_stricken({"a": 149})
    assert len(strikes.parameter_strikes["a"]) == 150


async def test_a_list_that_strikes_and_is_not_asked_for_long_is_not_cut_off(
    strikes: StrikeList, docket: Docket
) -> None:
    for n in range(HELD + OVERLAP + 1):
        await strikes.strike(None, "a", "==", n)
    await docket.strike(None, "b", "==", 1)
    await becomes(strikes, True, b=1)


async def test_a_list_may_be_entered_again_and_left_in_another_task(url: str, docket: Docket) -> None:
    """I8."""
    strikes = StrikeList(url, "d")
    for n in range(2):
        async with anyio.create_task_group() as group:
            group.start_soon(strikes.__aenter__)
        await docket.strike(None, "a", "==", n)
        await becomes(strikes, True, a=n)
        async with anyio.create_task_group() as group:
            group.start_soon(strikes.__aexit__, None, None, None)
        assert strikes.is_stricken({"a": n}), "as far as it was known"
        with pytest.raises(RuntimeError, match="not connected to Redis"):
            await strikes.wait_for_strikes_loaded()


async def test_where_the_server_is_lost_what_is_known_counts_until_it_is_back(
    caplog: pytest.LogCaptureFixture, anyio_backend: Any
) -> None:
    with Server() as server:
        async with Docket("d", server.url) as docket, StrikeList(server.url, "d") as strikes:
            await strikes.strike(None, "a", "==", 1)
            server.restart()  # it forgets everything
            await docket.strike(None, "a", "==", 2)
            with anyio.fail_after(10):
                while "not followed any more" not in caplog.text:
                    assert strikes.is_stricken({"a": 1})
                    await anyio.lowlevel.checkpoint()
            for _ in range(3):
                assert not strikes.is_stricken({"a": 2})
            warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
            assert len(warnings) == 1
            await strikes.wait_for_strikes_loaded()
            assert strikes.is_stricken({"a": 2})
            await docket.strike(None, "a", "==", 3)
            await becomes(strikes, True, a=3)


async def test_entering_does_not_fail_where_nothing_answers(caplog: pytest.LogCaptureFixture) -> None:
    async with StrikeList("redis://127.0.0.1:1/0?socket_connect_timeout=0.1", "d") as strikes:
        assert not strikes.is_stricken({"a": 1})
        assert "not followed any more" in caplog.text
        with pytest.raises(RedisError):
            await strikes.strike("f")


async def test_on_a_cluster_the_list_follows_the_node_that_has_the_docket(
    cluster_url: str, anyio_backend: Any
) -> None:
    async with Docket("d", cluster_url) as docket, StrikeList(cluster_url, "d") as strikes:
        assert strikes.strike_key == docket.strike_list.strike_key == "{d}:strikes"
        await docket.strike(None, "a", "==", 1)
        await becomes(strikes, True, a=1)
        await strikes.restore(None, "a", "==", 1)
        assert await docket.strikes() == []


def test_an_instruction_travels_as_pydocket_writes_it() -> None:
    message = Strike("f", "p", Operator.EQUAL, 3).as_message()
    assert message == {
        b"direction": b"strike", b"function": b"f", b"parameter": b"p", b"operator": b"==", b"value": b"\x80\x05K\x03.",
    }  # fmt: skip
    whole = Restore("f", None, Operator.EQUAL, None)
    assert whole.as_message() == {
        b"direction": b"restore", b"function": b"f", b"operator": b"==", b"value": b"\x80\x05N.",
    }  # fmt: skip
    assert StrikeInstruction.from_message(whole.as_message()) == whole
    assert StrikeInstruction.from_message(message) != whole
    assert whole.labels() == {"docket.task": "f"}
    between = Strike(None, "p", Operator.BETWEEN, (1, 2))
    assert between.labels() == {
        "docket.parameter": "p",
        "docket.operator": "between",
        "docket.value": "(1, 2)",
    }
    assert between.call_repr() == "*(p between (1, 2))"
    with pytest.raises(KeyError):
        StrikeInstruction.from_message({})


def test_the_names_and_signatures_are_those_of_pydocket() -> None:
    words = "(function=None, parameter=None, operator='==', value=None)"
    expected = {
        StrikeList: (
            "(url=None, name='strikelist', enable_internal_instrumentation=False, credential_provider=None, "
            "signing_keys=None, signatures=None)"  # these are ours
        ),
        StrikeList.strike: words,
        StrikeList.restore: words,
        Docket.strike: words,
        Docket.restore: words,
        StrikeList.is_stricken: "(target)",
        StrikeList.send_instruction: "(instruction)",
        StrikeList.update: "(instruction)",
        StrikeList.add_condition: "(condition)",
        StrikeList.remove_condition: "(condition)",
        StrikeList.wait_for_strikes_loaded: "()",
        Docket.wait_for_strikes_loaded: "()",
        StrikeInstruction: "(function, parameter, operator, value)",
        StrikeInstruction.as_message: "()",
        StrikeInstruction.from_message: "(message)",
        StrikeInstruction.labels: "()",
        StrikeInstruction.call_repr: "()",
    }
    for function, signature in expected.items():
        found = inspect.signature(function)
        plain = [p.replace(annotation=p.empty) for p in found.parameters.values() if p.name != "self"]
        assert str(inspect.Signature(plain)) == signature, function
    assert {name: each.value for name, each in Operator.__members__.items()} == {
        "EQUAL": "==", "NOT_EQUAL": "!=", "GREATER_THAN": ">", "GREATER_THAN_OR_EQUAL": ">=", "LESS_THAN": "<",
        "LESS_THAN_OR_EQUAL": "<=", "BETWEEN": "between",
    }  # fmt: skip
    assert typing.get_args(strikelist.LiteralOperator) == tuple(each.value for each in Operator)
    assert (Strike.direction, Restore.direction) == ("strike", "restore")
    assert {"Message", "MinimalStrike", "ParameterStrikes", "TaskStrikes"} <= set(strikelist.__all__)
