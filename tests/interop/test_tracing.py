"""A run is linked to the span that added it, whichever side did which."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace

from tests.instrumentation.spans import Heard, listening

from .sides import from_now
from .table import Table

pytestmark = pytest.mark.anyio

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def heard() -> Iterator[Heard]:
    with listening() as heard:
        yield heard


async def added_by_pydocket(table: Table, when: str | None) -> None:
    await table.pydocket.program.call(
        do="add", docket=table.name, url=table.url, function="origins", args=[], kwargs={}, key="k", when=when,
        traceparent=f"00-{TRACE}-{SPAN}-01",
    )  # fmt: skip


@pytest.mark.parametrize("seconds", [None, 0.1], ids=["now", "later"])
async def test_our_run_is_linked_to_the_span_in_which_pydocket_added_the_task(
    table: Table, heard: Heard, seconds: float | None
) -> None:
    await added_by_pydocket(table, None if seconds is None else from_now(seconds))
    await table.ours.drain("w")
    assert await table.pydocket.outcome("k") == {"result": [f"{TRACE}-{SPAN}"]}
    [link] = heard.only(table.name, "origins").links
    assert (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") == (TRACE, SPAN)


async def test_pydockets_run_is_linked_to_the_span_in_which_we_added_the_task(
    table: Table, heard: Heard
) -> None:
    with trace.get_tracer("the user's").start_as_current_span("request"):
        await table.ours.add("origins", key="k")
    await table.pydocket.drain("w")
    added = heard.only(table.name, "docket.add").get_span_context()
    assert added is not None
    linked = f"{added.trace_id:032x}-{added.span_id:016x}"
    assert await table.ours.outcome("k") == {"result": [linked]}
