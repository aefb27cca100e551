"""What docs/security.md says of logs, metrics and spans: arguments only where they are `Logged`, results never."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import anyio
import pytest

from docket import ConcurrencyLimit, Docket, Logged, Perpetual, Retry, Timeout, Worker
from tests.instrumentation.exposition import Scrape
from tests.instrumentation.spans import Heard

pytestmark = pytest.mark.anyio

CARD, RESULT = "4111-secret-card", "secret-result"
LATER = datetime(2099, 1, 1, tzinfo=UTC)


async def pay(customer: Annotated[str, Logged], card: str) -> str:
    assert card
    return RESULT


async def fails(card: str, retry: Retry = Retry(attempts=2)) -> None:
    raise ValueError("shown-error")


async def repeats(card: str, perpetual: Perpetual = Perpetual()) -> None:
    perpetual.cancel()


async def waits(card: str, timeout: Timeout = Timeout(timedelta(milliseconds=1))) -> None:
    await anyio.sleep_forever()


async def limited(
    card: str, account: str, limit: ConcurrencyLimit = ConcurrencyLimit("account", 1)
) -> None: ...


def in_a_thread(card: str) -> str:
    return RESULT


async def exercise(docket: Docket) -> None:
    """Everything that a log, a metric or a span may tell of."""
    await docket.add(pay, key="shown-key")("shown-customer", CARD)
    await docket.add_many([docket.call(task)(CARD) for task in (fails, repeats, waits, in_a_thread)])
    await docket.add(limited)(CARD, "shown-account")
    await docket.add(limited)(CARD, account="shown-account")
    await docket.strike(pay, "customer", "==", "shown-value")
    await docket.strike(pay, "card", ">", 10)  # does not go together with the argument
    await docket.add(pay)("shown-value", CARD)
    await docket.add(pay, key="superseded")("c", CARD)
    await docket.add(pay, LATER, "replaced")("c", CARD)
    await docket.replace(pay, LATER, "replaced")("c", card=CARD)
    await docket.cancel("replaced")
    unreadable = await docket.add(in_a_thread, key="unreadable")(CARD)
    unknown = await docket.add(in_a_thread, key="unknown")(CARD)
    async with docket.redis() as redis:
        await redis.hset(docket.runs_key("superseded"), "generation", 7)
        for entry_id, fields in await redis.xrange(docket.stream_key):
            changes = {unreadable.key: {b"args": b"junk"}, unknown.key: {b"function": b"nobody"}}
            if change := changes.get(fields[b"key"].decode()):
                await redis.xdel(docket.stream_key, entry_id)
                await redis.xadd(docket.stream_key, {**fields, **change})
    with anyio.fail_after(30):
        async with Worker(docket, "w", unknown_task_patience=timedelta(0)) as worker:
            await worker.run_until_finished()
    paid = await docket.get_execution("shown-key")
    assert paid is not None
    assert await paid.get_result() == RESULT
    await docket.snapshot()


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, with tracebacks and every attribute of the records."""
    formatter = logging.Formatter()
    return "\n".join(f"{formatter.format(record)} {vars(record)}" for record in caplog.records)


async def test_neither_arguments_nor_results_are_told(
    docket: Docket, scrape: Scrape, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await exercise(docket)
    spans = " ".join(
        f"{span.name} {span.attributes} {span.status.description} {[(e.name, e.attributes) for e in span.events]}"
        for span in heard.spans or []
    )
    metrics = scrape.text()
    for told in logged(caplog), spans, metrics:
        assert CARD not in told
        assert RESULT not in told
        assert "pay" in told
        assert "shown-value" in told  # of a strike
    assert "pay('shown-customer', ...)" in logged(caplog)
    assert "shown-customer" not in spans + metrics
    for told in logged(caplog), spans:
        assert "shown-key" in told
        assert "shown-error" in told
    assert "shown-key" not in metrics


async def test_what_a_traceback_shows_is_no_value(docket: Docket, caplog: pytest.LogCaptureFixture) -> None:
    """What the exception itself says is the task's own doing."""
    with caplog.at_level(logging.DEBUG):
        execution = await docket.add(fails)(CARD)
        async with Worker(docket) as worker:
            await worker.run_until_finished()
    assert "Traceback" in logged(caplog)
    assert CARD not in logged(caplog)
    await execution.sync()
    assert execution.error == "ValueError: shown-error"
    add: Any = docket.add(pay)
    with pytest.raises(TypeError) as refused:
        await add("c", CARD, extra=CARD)
    assert CARD not in str(refused.value)
