"""One outage, one line; and who tries again when. In a virtual time, without a server."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

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

import docket.testing
from docket.store import UnreadableKey, about_key
from docket.worker.upkeep.outage import LAGGARDS, TAIL, Outages, is_disruption

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return docket.testing.virtual_backend(request.param)


@pytest.fixture
def outages() -> Outages:
    return Outages(timedelta(seconds=5), "somewhere", ("docket", "worker"))


LOST = ConnectionError("Connection lost")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return ["unavailable" if "unavailable" in message else "back" for message in caplog.messages]


async def test_those_who_are_cut_off_one_after_the_other_share_a_line(
    outages: Outages, caplog: pytest.LogCaptureFixture
) -> None:
    for who in ("reader", "scheduler", "settle"):
        outages.noted(who, LOST)
        await anyio.sleep(2)
    outages.over("reader")
    outages.given_up("settle")
    assert lines(caplog) == ["unavailable"]
    outages.over("scheduler")
    assert lines(caplog) == ["unavailable", "back"]
    assert "back after 6.0 s" in caplog.text


async def test_who_finds_out_late_says_nothing_unless_it_goes_on(
    outages: Outages, caplog: pytest.LogCaptureFixture
) -> None:
    asked = anyio.current_time()
    outages.noted("heartbeat", LOST)
    await anyio.sleep(1)
    outages.over("heartbeat")
    await anyio.sleep(LAGGARDS / 2)
    outages.noted("reader", LOST, asked)
    await anyio.sleep(TAIL / 2)
    outages.over("reader")
    assert lines(caplog) == ["unavailable", "back"]
    outages.noted("reader", LOST, asked)
    await anyio.sleep(TAIL)
    outages.noted("reader", LOST)
    assert lines(caplog) == ["unavailable", "back", "unavailable"]


async def test_a_new_outage_has_a_line_of_its_own(outages: Outages, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        asked = anyio.current_time()
        outages.noted("reader", LOST, asked)
        await anyio.sleep(0.1)
        outages.over("reader")
        await anyio.sleep(2 * TAIL)
    assert lines(caplog) == ["unavailable", "back"] * 2


async def test_tries_grow_rarer_up_to_the_reconnection_delay_and_are_spread(outages: Outages) -> None:
    """So that a fleet does not come back all at once."""
    took: dict[int, list[float]] = {1: [], 4: [], 20: []}

    async def pause(attempt: int) -> None:
        began = anyio.current_time()
        await outages.pause(attempt)
        took[attempt].append(anyio.current_time() - began)

    async with anyio.create_task_group() as group:
        for attempt in took:
            for _ in range(200):
                group.start_soon(pause, attempt)
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
def test_only_what_may_pass_is_tried_again(error: RedisError, again: bool) -> None:
    """I7. The refusals of real servers are in tests/trouble.py."""
    assert is_disruption(error) is again


WRONG = ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")


async def test_a_misused_key_is_said_once_and_what_cannot_be_named_is_an_outage_of_loops_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers: list[UnreadableKey | RedisError | None] = []

    async def look(everything: bool) -> UnreadableKey | None:
        answer = answers.pop(0)
        if isinstance(answer, RedisError) and not isinstance(answer, UnreadableKey):
            raise answer
        return answer

    outages = Outages(timedelta(seconds=5), "somewhere", ("docket", "worker"), look)
    named = about_key("d:queue", "sorted set")
    answers += [named, None, None, NoPermissionError("no TYPE"), NoPermissionError("no TYPE"), LOST]
    assert await outages.concerns_all(WRONG) is named
    assert await outages.concerns_all(WRONG) is None
    assert await outages.concerns_all(WRONG, loop=True) is WRONG
    assert await outages.concerns_all(WRONG) is None
    assert await outages.concerns_all(WRONG, loop=True) is WRONG
    assert await outages.concerns_all(WRONG) is LOST
    assert await outages.concerns_all(ResponseError("ERR syntax"), loop=True) is None
    for who in ("scheduler", "heartbeat", "scheduler"):
        outages.noted(who, named)
    for who in ("scheduler", "heartbeat"):
        outages.over(who)
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "Redis at somewhere",
        "Redis at somewhere can be used again after 0.0 s",
    ]
