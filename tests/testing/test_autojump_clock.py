"""pytest-trio's ``autojump_clock`` moves docket's clock, without ``docket.testing``."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from docket import clock

pytestmark = pytest.mark.trio


async def test_the_wall_clock_follows_autojump_clock(autojump_clock: MockClock) -> None:
    began = clock.now()
    await trio.sleep(30 * 24 * 3600)
    assert abs(clock.now() - began - timedelta(days=30)) <= timedelta(microseconds=1)


async def test_the_wall_clock_follows_a_clock_moved_by_hand(mock_clock: MockClock) -> None:
    began = clock.now()
    mock_clock.jump(3600)
    assert abs(clock.now() - began - timedelta(hours=1)) <= timedelta(microseconds=1)
