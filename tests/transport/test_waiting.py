"""What a connection needs of its event loop."""

from __future__ import annotations

import anyio
import pytest

from docket.transport.waiting import current_backend
from tests.where import on_asyncio

pytestmark = pytest.mark.anyio


@on_asyncio  # on trio each wait has a deadline of its own, and no timer
@pytest.mark.parametrize("soon", [0.0, 0.0001, 0.02])
async def test_a_timer_that_is_due_very_soon_may_be_armed_again(soon: float) -> None:
    fired = anyio.Event()

    def check() -> float:
        fired.set()
        return float("inf")

    timer = current_backend().timer(check)
    assert timer is not None
    timer.arm(soon)
    timer.arm(3600)
    with anyio.fail_after(10):
        await fired.wait()
    timer.arm(3600)
    timer.arm(soon)
    fired = anyio.Event()
    with anyio.fail_after(10):
        await fired.wait()
    timer.disarm()
