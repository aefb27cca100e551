"""Strikes: what may not be added, or run, at present."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from docket import Disposition, Docket, Execution, ExecutionState
from docket.dependencies import CurrentDocket
from docket.strikelist import Operator, Restore, Strike
from tests.docket.conftest import add, later, nothing, work
from tests.where import one_loop

pytestmark = pytest.mark.anyio


async def order(customer: str, amount: int = 5, *items: str, rush: bool = False, **notes: str) -> None: ...


async def with_docket(a: int, docket: Docket = CurrentDocket()) -> None: ...


@pytest.fixture
async def elsewhere(docket: Docket) -> AsyncIterator[Docket]:
    """The same docket in what might be another process."""
    async with Docket("d", docket.url) as other:
        for task in add, nothing, order, with_docket:
            docket.register(task)
            other.register(task)
        yield other


async def everything(docket: Docket) -> dict[bytes, Any]:
    """What the server holds besides strikes."""
    async with docket.redis() as redis:
        found: dict[bytes, Any] = {}
        for key in await redis.keys("*"):
            if key != b"d:strikes":
                found[key] = await redis.dump(key) if not docket.client.is_memory else await redis.type(key)
        return found


async def struck(docket: Docket, *args: Any, **kwargs: Any) -> bool:
    execution = await docket.add(order)(*args, **kwargs)
    assert execution.disposition in {Disposition.STRUCK, Disposition.SCHEDULED}
    return execution.disposition is Disposition.STRUCK


async def test_a_strike_is_in_force_at_once_in_every_process(docket: Docket, elsewhere: Docket) -> None:
    for _ in range(10):
        await docket.strike(order)
        assert await struck(elsewhere, "c")
        assert await struck(docket, "c")
        await elsewhere.restore(order)
        assert not await struck(docket, "c")
        assert not await struck(elsewhere, "c")


async def test_what_is_struck_writes_nothing_and_says_so(
    docket: Docket, elsewhere: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    await docket.add(order, when=later(), key="k")("good")
    await docket.strike(order, "customer", "==", "bad")
    before = await everything(docket)
    for side in docket, elsewhere:
        added = await side.add(order, key="new")("bad")
        replaced = await side.replace(order, when=later(), key="k")("bad")
        by_hand = Execution(side, order, ("bad",), {}, "hand", later(), 1)
        await side.schedule(by_hand)
        for execution in added, replaced, by_hand:
            assert execution.disposition is Disposition.STRUCK
            assert execution.generation == 0
    assert await everything(docket) == before
    said = [record.getMessage() for record in caplog.records if record.name == "docket.docket"]
    assert said[:2] == [
        "'order' is stricken, skipping schedule of 'new'",
        "'order' is stricken, skipping schedule of 'k'",
    ]


@pytest.mark.parametrize("known", [True, False])
async def test_of_many_only_those_are_left_out_that_are_struck(
    docket: Docket, elsewhere: Docket, known: bool
) -> None:
    await elsewhere.strike(order, "amount", ">=", 3)
    if known:
        await docket.wait_for_strikes_loaded()
    calls = [docket.call(order, key=f"{n}")("c", n) for n in range(6)]
    for many in docket.add_many, docket.replace_many:
        executions = await many(calls, chunk_size=4)
        assert [e.disposition for e in executions] == [Disposition.SCHEDULED] * 3 + [Disposition.STRUCK] * 3
    async with docket.redis() as redis:
        keys = [fields[b"key"] for _, fields in await redis.xrange("d:stream")]
    assert keys == [b"0", b"1", b"2"]


async def test_strikes_that_come_while_many_are_added_are_kept_in_order(
    docket: Docket, elsewhere: Docket
) -> None:
    """Whatever the server refuses over strikes unread is judged and sent again, in the order of the calls."""
    calls = [docket.call(order, key=f"{n:03}")("c", n) for n in range(120)]
    async with anyio.create_task_group() as group:
        for n in range(0, 120, 3):
            group.start_soon(elsewhere.strike, "other", "amount", "==", n)
        group.start_soon(docket.add_many, calls)
    async with docket.redis() as redis:
        keys = [fields[b"key"] for _, fields in await redis.xrange("d:stream")]
    assert keys == [f"{n:03}".encode() for n in range(120)]


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize(
    ("parameter", "operator", "value", "forbidden", "allowed"),
    [
        ("customer", "==", "bad", [(("bad",), {}), ((), {"customer": "bad"})], [(("good",), {})]),
        ("amount", "<", 6, [(("c",), {}), (("c", 5), {})], [(("c", 6), {})]),
        ("rush", "!=", True, [(("c",), {}), (("c",), {"rush": False})], [(("c",), {"rush": True})]),
        ("note", "==", "x", [(("c",), {"note": "x"})], [(("c",), {"note": "y"}), (("c",), {})]),
        ("items", "==", ("a", "b"), [(("c", 1, "a", "b"), {})], [(("c", 1, "a"), {})]),
        ("amount", "between", (3, 4), [(("c", 3), {}), (("c", 4), {})], [(("c",), {})]),
    ],
)
async def test_the_arguments_of_a_call_decide_and_its_defaults(
    docket: Docket, elsewhere: Docket, parameter: str, operator: Any, value: Any, forbidden: Any, allowed: Any
) -> None:
    for function in order, None:
        await docket.strike(function, parameter, operator, value)
        for args, kwargs in forbidden:
            assert await struck(elsewhere, *args, **kwargs)
        for args, kwargs in allowed:
            assert not await struck(elsewhere, *args, **kwargs)
        await docket.restore(function, parameter, operator, value)
        assert await docket.strikes() == []


async def test_what_a_dependency_supplies_is_no_argument(docket: Docket, elsewhere: Docket) -> None:
    await docket.strike(with_docket, "docket", "!=", "x")
    assert (await elsewhere.add(with_docket)(1)).disposition is Disposition.SCHEDULED


async def test_a_value_that_cannot_be_compared_is_no_match_and_is_logged(
    docket: Docket, elsewhere: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    await docket.strike(order, "amount", ">", 10)
    assert not await struck(elsewhere, "c", "many")
    (record,) = [r for r in caplog.records if r.name == "docket.strikelist" and r.levelno == logging.WARNING]
    assert record.getMessage() == "Incompatible type for strike condition: str > 10"
    assert record.exc_info is not None


async def test_the_strikes_in_effect_can_be_listed(docket: Docket, elsewhere: Docket) -> None:
    assert await docket.strikes() == []
    await docket.strike("unregistered")
    await docket.strike(order, "amount", ">", 1000)
    await docket.strike(None, "customer", "==", "x")
    await docket.strike(order, "amount", "between", (1, 2))
    await docket.restore(order, "amount", Operator.BETWEEN, (1, 2))
    listed = await elsewhere.strikes()
    assert listed == [
        Strike("unregistered", None, Operator.EQUAL, None),
        Strike("order", "amount", Operator.GREATER_THAN, 1000),
        Strike(None, "customer", Operator.EQUAL, "x"),
    ]
    assert [strike.call_repr() for strike in listed] == [
        "unregistered(* == *)",
        "order(amount > 1000)",
        "*(customer == 'x')",
    ]
    assert elsewhere.strike_list.task_strikes == {"unregistered": {}, "order": {"amount": {(">", 1000)}}}
    assert elsewhere.strike_list.parameter_strikes == {"customer": {("==", "x")}}
    assert elsewhere.strike_list.strike_key == "d:strikes"


async def test_the_docket_waits_for_strikes_when_asked(docket: Docket, elsewhere: Docket) -> None:
    await docket.strike(order)
    assert elsewhere.strike_list.task_strikes == {}
    await elsewhere.wait_for_strikes_loaded()
    assert elsewhere.strike_list.task_strikes == {"order": {}}


async def becomes_known(docket: Docket, known: bool) -> None:
    with anyio.fail_after(10):
        while bool(docket.strike_list.strikes()) is not known:
            await anyio.lowlevel.checkpoint()


async def test_a_docket_that_was_asked_once_follows_what_others_strike(
    docket: Docket, elsewhere: Docket
) -> None:
    await elsewhere.wait_for_strikes_loaded()
    execution = await elsewhere.add(order, when=later())("c")
    for _ in range(2):
        await docket.strike(order)
        await becomes_known(elsewhere, True)
        assert elsewhere.strike_list.is_stricken(execution)
        await docket.restore(order)
        await becomes_known(elsewhere, False)
        assert not elsewhere.strike_list.is_stricken(execution)


async def test_it_follows_again_once_it_was_left_and_asked_again(docket: Docket) -> None:
    other = Docket("d", docket.url)
    for _ in range(2):
        async with other:
            assert await other.strikes() == []
            await docket.strike(order)
            await becomes_known(other, True)
            await docket.restore(order)
            await becomes_known(other, False)


@one_loop
async def test_a_look_at_what_is_not_followed_says_so_once(
    docket: Docket, elsewhere: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    await docket.strike(order)
    for _ in range(2):
        assert elsewhere.strike_list.strikes() == []
    assert [record.levelname for record in caplog.records if "wait_for_strikes_loaded" in record.message] == [
        "WARNING"
    ]


@one_loop
async def test_a_worker_judges_without_a_connection_for_strikes(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    async with Docket("d", docket.url) as other:
        execution = await docket.add(nothing, key="k")()
        await docket.strike(nothing)
        other.register(nothing)
        await work(other)
        await execution.sync()
        assert execution.state is ExecutionState.CANCELLED
    assert "wait_for_strikes_loaded" not in caplog.text


async def test_a_docket_may_have_conditions_of_its_own(docket: Docket, elsewhere: Docket) -> None:
    def generous(execution: Execution[Any]) -> bool:
        return bool(execution.get_argument("amount"))

    docket.strike_list.add_condition(generous)
    assert await struck(docket, "c", 5)
    assert not await struck(elsewhere, "c", 5)
    docket.strike_list.remove_condition(generous)
    assert not await struck(docket, "c", 5)


async def test_instructions_may_be_made_by_hand(docket: Docket, elsewhere: Docket) -> None:
    await docket.strike_list.send_instruction(Strike("order", "amount", Operator.EQUAL, 3))
    assert await struck(elsewhere, "c", 3)
    docket.strike_list.update(Restore("order", "amount", Operator.EQUAL, 3))
    assert docket.strike_list.task_strikes == {}
    assert await struck(elsewhere, "c", 3), "only there"


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize(
    ("strike", "error", "told"),
    [
        (lambda docket: docket.strike(order, "amount", "~", 1), ValueError, "'~' is not a valid Operator"),
        (lambda docket: docket.restore(order, "amount", "~", 1), ValueError, "'~' is not a valid Operator"),
        (lambda docket: docket.strike(), ValueError, "names a function, a parameter, or both"),
        (lambda docket: docket.strike(5), TypeError, "the function of a strike is named by a str, not by 5"),
        (lambda docket: docket.strike(order, "amount", "==", [1]), TypeError, "takes a hashable value"),
        (
            lambda docket: docket.strike(order, "amount", "==", threading.Lock()),
            TypeError,
            "the value of a strike cannot be pickled",
        ),
    ],
)
async def test_a_strike_that_could_never_work_is_refused_at_once(
    docket: Docket, strike: Callable[[Docket], Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        await strike(docket)
    assert await everything(docket) == {}
    assert await docket.strikes() == []


async def test_an_instruction_that_cannot_be_read_harms_no_other(
    docket: Docket, elsewhere: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    await docket.strike(order, "amount", "==", 1)
    async with docket.redis() as redis:
        await redis.xadd(
            "d:strikes", {"direction": "strike", "function": "order", "operator": "~", "value": "x"}
        )
        await redis.xadd("d:strikes", {"something": "else"})
    await docket.strike(order, "amount", "==", 2)
    assert await struck(elsewhere, "c", 1)
    assert await struck(elsewhere, "c", 2)
    assert not await struck(elsewhere, "c", 3)
    assert "cannot be read and is skipped" in caplog.text


async def test_strikes_that_were_removed_from_the_server_are_forgotten(
    docket: Docket, elsewhere: Docket
) -> None:
    """Somebody has emptied the database: no add goes in circles over it."""
    await docket.strike(order)
    assert await struck(elsewhere, "c")
    async with docket.redis() as redis:
        await redis.delete("d:strikes")
    assert not await struck(elsewhere, "c")
    assert not await struck(docket, "c")


async def test_a_docket_that_is_opened_later_knows_them(docket: Docket) -> None:
    await docket.strike(order)
    async with Docket("d", docket.url) as reopened:
        reopened.register(order)
        assert await struck(reopened, "c")


async def _asked(docket: Docket) -> dict[str, int]:
    """How often scripts were run and strikes were read since the last look."""
    async with docket.redis() as redis:
        stats: Any = await redis.info("commandstats")
        await redis.config_resetstat()
    return {
        name: stats[f"cmdstat_{name}"]["calls"]
        for name in ("evalsha", "xrange")
        if f"cmdstat_{name}" in stats
    }


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_only_news_and_what_is_struck_cost_a_round_trip(docket: Docket, elsewhere: Docket) -> None:
    await docket.add(order)("c")
    await _asked(docket)
    await docket.add(order)("c")
    assert await _asked(docket) == {"evalsha": 1}, "no strikes"
    await elsewhere.strike(order, "customer", "==", "bad")
    await _asked(docket)
    await docket.add(order)("c")
    assert await _asked(docket) == {"evalsha": 2, "xrange": 1}, "refused, read, placed"
    await docket.add(order)("c")
    await docket.add_many([docket.call(order)("c")])
    assert await _asked(docket) == {"evalsha": 2}, "known strikes"
    await docket.add(order)("bad")
    assert await _asked(docket) == {"xrange": 1}, "has it been restored?"
    await elsewhere.strike(order, "customer", "==", "worse")
    await _asked(docket)
    await docket.add_many([docket.call(order)(name) for name in ("a", "b", "c", "worse")])
    assert await _asked(docket) == {"evalsha": 4 + 3, "xrange": 1}, "all were refused; three are sent again"


async def test_the_example_of_the_documentation_runs(docket: Docket) -> None:
    text = (Path(__file__).parents[2] / "docs" / "strikes.md").read_text(encoding="utf-8")
    first, looking, second = (block.partition("```")[0] for block in text.split("```python\n")[1:])
    names: dict[str, Any] = {}
    exec(first, names)
    exec(looking, names)
    exec(second, names)
    await names["stop"](docket)
    assert len(await docket.strikes()) == 4
    for amount, customer in (1, "x"), (150, "x"), (10_001, "x"), (1, "12345"):
        call = docket.add(names["process_order"])(customer, amount)
        assert (await call).disposition is Disposition.STRUCK
    await names["go_on"](docket)
    for amount, expected in (
        (1, Disposition.SCHEDULED),
        (150, Disposition.STRUCK),
        (10_001, Disposition.STRUCK),
    ):
        assert (await docket.add("process_order")("12345", amount)).disposition is expected
