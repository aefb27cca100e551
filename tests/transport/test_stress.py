"""Every reply that arrives is the caller's own, nobody hangs, nothing leaks: under random cancellation."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sniffio

from docket.transport import Client
from tests.servers import Server
from tests.transport.stress import stress

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def run(url: str, commands: int) -> None:
    async with Client.from_url(url) as warm:  # what the loop itself keeps open is no leak
        await warm.ping()
    counts = await stress(url, commands)
    assert counts["verified"] > commands / 2
    assert counts["cancelled"] > commands / 50
    assert counts["cancelled in _flush"] > 0
    assert counts["hung up"] > commands / 2000
    if sniffio.current_async_library() == "trio":  # on asyncio the loop itself reads
        assert counts["cancelled in _lead"] > 0


async def test_replies_reach_their_callers_while_callers_are_cancelled_and_the_server_hangs_up(
    victim: Server,
) -> None:
    await run(victim.url, 20_000)


@pytest.mark.chaos
async def test_replies_reach_their_callers_a_hundred_thousand_times(victim: Server) -> None:
    await run(victim.url, 100_000)


def test_the_same_holds_on_asyncio_where_the_loop_cannot_read_for_the_callers() -> None:
    command = [sys.executable, "-m", "tests.transport.stress", "leading", "5000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cancelled in _lead" in done.stdout


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_the_same_holds_where_hiredis_cannot_be_imported(loop: str) -> None:
    command = [sys.executable, "-m", "tests.transport.stress", loop, "5000", "--without-hiredis"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Parser" in done.stdout


@pytest.mark.chaos
@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_the_same_holds_a_hundred_thousand_times_where_hiredis_cannot_be_imported(loop: str) -> None:
    command = [sys.executable, "-m", "tests.transport.stress", loop, "100000", "--without-hiredis"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Parser" in done.stdout
