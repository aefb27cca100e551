"""One outage is one log line; and when callers try again. In virtual time, without a server."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from docket.store import about_key, unreadable
from docket.worker.upkeep.outages import AFTERMATH, LAGGARDS, Outages, is_disruption
from tests.where import virtual_time

pytestmark = [pytest.mark.anyio, virtual_time]


@pytest.fixture
def outages() -> Outages:
    return Outages(timedelta(seconds=5), "somewhere", ("docket", "worker"))


LOST = ConnectionError("Connection lost")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return ["unavailable" if "unavailable" in message else "back" for message in caplog.messages]


async def test_callers_that_are_cut_off_one_after_the_other_share_a_line(
    outages: Outages, caplog: pytest.LogCaptureFixture
) -> None:
    for caller in ("reader", "scheduler", "settle"):
        outages.failed(caller, LOST)
        await anyio.sleep(2)
    outages.recovered("reader")
    outages.forget("settle")
    assert lines(caplog) == ["unavailable"]
    outages.recovered("scheduler")
    assert lines(caplog) == ["unavailable", "back"]
    assert "back after 6.0 s" in caplog.text


async def test_a_caller_that_finds_out_late_logs_nothing_unless_it_stays_cut_off(
    outages: Outages, caplog: pytest.LogCaptureFixture
) -> None:
    last_answer = anyio.current_time()
    outages.failed("heartbeat", LOST)
    await anyio.sleep(1)
    outages.recovered("heartbeat")
    await anyio.sleep(LAGGARDS / 2)
    outages.failed("reader", LOST, last_answer)
    await anyio.sleep(AFTERMATH / 2)
    outages.recovered("reader")
    assert lines(caplog) == ["unavailable", "back"]
    outages.failed("reader", LOST, last_answer)
    await anyio.sleep(AFTERMATH)
    outages.failed("reader", LOST)
    assert lines(caplog) == ["unavailable", "back", "unavailable"]


async def test_a_new_outage_has_its_own_line(outages: Outages, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        last_answer = anyio.current_time()
        outages.failed("reader", LOST, last_answer)
        await anyio.sleep(0.1)
        outages.recovered("reader")
        await anyio.sleep(2 * AFTERMATH)
    assert lines(caplog) == ["unavailable", "back"] * 2


async def test_attempts_grow_rarer_up_to_the_reconnection_delay_and_are_spread(outages: Outages) -> None:
    """So a fleet does not come back all at once."""
    took: dict[int, list[float]] = {1: [], 4: [], 20: []}

    async def back_off(attempt: int) -> None:
        began = anyio.current_time()
        await outages.back_off(attempt)
        took[attempt].append(anyio.current_time() - began)

    async with anyio.create_task_group() as group:
        for attempt in took:
            for _ in range(200):
                group.start_soon(back_off, attempt)
    for attempt, longest in ((1, 0.1), (4, 0.8), (20, 5.0)):
        assert 0.1 * longest - 0.01 <= min(took[attempt]) < 0.3 * longest
        assert 0.8 * longest < max(took[attempt]) <= longest + 0.01


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (LOST, True),
        (TimeoutError("No answer from the server for 30 s"), True),
        (BusyLoadingError("Redis is loading the dataset in memory"), True),
        (ResponseError("NOGROUP No such key 'd:stream'"), True),
        (ResponseError("UNBLOCKED the stream key no longer exists"), True),
        (ResponseError("Script killed by user with SCRIPT KILL."), True),
        (AuthenticationError("invalid username-password pair"), False),
        (NoPermissionError("this user has no permissions"), False),
        (ResponseError("WRONGTYPE Operation against a key"), False),
        (ResponseError("user_script:1: attempt to index a nil value"), False),
    ],
)
def test_only_an_error_that_may_pass_is_tried_again(error: RedisError, again: bool) -> None:
    """I7. The refusals of real servers are in tests/trouble.py."""
    assert is_disruption(error) is again


WRONG = ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")


async def test_a_misused_key_is_logged_once_and_one_without_a_name_is_an_outage_only_for_loops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers: list[unreadable.UnreadableKey | RedisError | None] = []

    async def look(everything: bool) -> unreadable.UnreadableKey | None:
        answer = answers.pop(0)
        if isinstance(answer, RedisError) and not isinstance(answer, unreadable.UnreadableKey):
            raise answer
        return answer

    outages = Outages(timedelta(seconds=5), "somewhere", ("docket", "worker"), look)
    named = about_key("d:queue", "sorted set")
    answers += [named, None, None, NoPermissionError("no TYPE"), NoPermissionError("no TYPE"), LOST]
    assert await outages.outage_behind(WRONG) is named
    assert await outages.outage_behind(WRONG) is None
    assert await outages.outage_behind(WRONG, in_loop=True) is WRONG
    assert await outages.outage_behind(WRONG) is None
    assert await outages.outage_behind(WRONG, in_loop=True) is WRONG
    assert await outages.outage_behind(WRONG) is LOST
    assert await outages.outage_behind(ResponseError("ERR syntax"), in_loop=True) is None
    for caller in ("scheduler", "heartbeat", "scheduler"):
        outages.failed(caller, named)
    for caller in ("scheduler", "heartbeat"):
        outages.recovered(caller)
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "Redis at somewhere",
        "Redis at somewhere can be used again after 0.0 s",
    ]
