"""What a worker gets of a call that travels as JSON, sealed or not, and what the program gets back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from docket import Docket, Worker
from docket.serializers import Sealed
from tests.serializers.typed import CLASSES, LEAVES, alike
from tests.where import few_pairs

pytestmark = [pytest.mark.anyio, few_pairs]

QUICK = settings(database=None, max_examples=20, phases=[Phase.generate])
SEAL = Sealed("json", keys=[b"s" * 32])


def one_of(values: st.SearchStrategy[Any]) -> Any:
    """One of these values, where there is any one that is not empty."""
    try:
        return find(values, bool, settings=QUICK)
    except NoSuchExample:
        return find(values, lambda _: True, settings=QUICK)


@cache
def of_every_type() -> list[tuple[Any, Any]]:
    """Each type of the tables with a value."""
    return [(kind, one_of(values)) for kind, values in (LEAVES | CLASSES).items()]


def echo(kind: Any, given: list[Any]) -> Callable[[Any], Awaitable[Any]]:
    """A task that takes and returns this type."""

    async def task(value: Any) -> Any:
        given.append(value)
        return value

    task.__annotations__ = {"value": kind, "return": kind}
    return task


@pytest.mark.parametrize("serializer", ["json", SEAL], ids=["json", "sealed"])
async def test_a_value_of_every_supported_type_reaches_the_body_and_comes_back_as_it_was(
    url: str, serializer: str | Sealed
) -> None:
    given: list[Any] = []
    async with Docket("typed", url, serializer=serializer, accept={serializer}) as docket:
        executions: list[Any] = []
        for number, (kind, value) in enumerate(of_every_type()):
            name = f"echo-{number}"
            docket.register(echo(kind, given), names=[name])
            executions.append(await docket.add(name, key=name)(value))
        async with Worker(docket, concurrency=1) as worker:
            await worker.run_until_finished()
        results = [await execution.get_result() for execution in executions]
    sent = [value for _, value in of_every_type()]
    assert alike(given, sent)
    assert alike(results, sent)
