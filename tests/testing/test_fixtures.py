"""`docket.testing.fixtures`, on every loop that ``anyio_backend`` names."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import sniffio

import docket as package
from docket import Docket, Worker, clock
from docket.testing import run_until
from docket.testing.fixtures import VirtualClock, docket, virtual_clock, worker
from tests.kinds import KINDS

pytestmark = pytest.mark.anyio

__all__ = ["docket", "virtual_clock", "worker"]  # fixtures: pytest finds them by their names here

MONTH = timedelta(days=30)


async def double(number: int) -> int:
    return 2 * number


async def test_a_docket_and_its_worker(docket: Docket, worker: Worker) -> None:
    execution = await docket.add(double)(21)
    assert worker.docket is docket
    await worker.run_until_finished()
    assert await execution.get_result() == 42
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=30)


class TestSettings:
    @pytest.fixture(params=["json", "signed"])
    def docket_settings(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        return KINDS[request.param][0]

    async def test_a_docket_has_the_settings_of_its_tests(
        self, docket: Docket, worker: Worker, docket_settings: dict[str, Any]
    ) -> None:
        execution = await docket.add(double)(21)
        expected = Docket("other", "memory://other", **docket_settings).payloads.writes
        assert execution.written == expected
        await worker.run_until_finished()
        assert await execution.get_result() == 42


async def test_in_real_time_one_may_run_what_is_due(docket: Docket, worker: Worker) -> None:
    due = await docket.add(double)(1)
    await docket.add(double, when=clock.now() + MONTH, key="later")(2)
    await run_until(worker, clock.now())
    assert await due.get_result() == 2
    assert [execution.key for execution in (await docket.snapshot()).future] == ["later"]


async def test_every_test_has_a_docket_of_its_own(docket: Docket) -> None:
    assert (await docket.snapshot()).total_tasks == 0
    assert docket.url.startswith("memory://test-")


async def test_a_month_passes_without_waiting(
    docket: Docket, worker: Worker, virtual_clock: VirtualClock
) -> None:
    """Wherever ``virtual_clock`` stands among the parameters."""
    began = virtual_clock.now()
    assert abs(began - datetime.now(UTC)) < timedelta(seconds=30)
    execution = await docket.add(double, when=began + MONTH)(1)
    await run_until(worker, began + MONTH)
    assert await execution.get_result() == 2
    await virtual_clock.advance(MONTH)
    assert abs(virtual_clock.now() - began - 2 * MONTH) < timedelta(seconds=5)


async def test_time_does_not_pass_backwards_nor_for_more_than_a_hundred_years(
    virtual_clock: VirtualClock,
) -> None:
    for by in -MONTH, timedelta.max, timedelta.min:
        with pytest.raises(ValueError, match="by takes a duration"):
            await virtual_clock.advance(by)
    with pytest.raises(TypeError, match="by takes a timedelta"):
        await virtual_clock.advance(5)  # type: ignore[arg-type]


@pytest.mark.usefixtures("virtual_clock")
async def test_a_virtual_clock_runs_on_the_loop_that_was_asked_for(anyio_backend: tuple[str, object]) -> None:
    assert sniffio.current_async_library() == anyio_backend[0]
    assert clock.is_virtual()


async def test_afterwards_time_is_real_again() -> None:
    assert not clock.is_virtual()
    await anyio.lowlevel.checkpoint()


def test_the_package_keeps_its_name_where_only_a_conftest_names_the_fixtures() -> None:
    assert package.Docket is Docket


PROGRAM = {
    "conftest.py": """
import pytest
pytest_plugins = ["docket.testing.fixtures"]

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture
async def early():
    yield

@pytest.fixture
async def after(virtual_clock):
    yield virtual_clock.now()
""",
    "test_program.py": """
from datetime import timedelta
import pytest
import docket

pytestmark = pytest.mark.anyio

async def task():
    pass

async def test_plugin(docket, worker, virtual_clock, after):
    assert after == virtual_clock.now()
    await docket.add(task, when=virtual_clock.now() + timedelta(days=400))()
    await worker.run_until_finished()

def test_the_package():
    assert docket.Docket.__name__ == "Docket"

async def test_too_late(early, virtual_clock):
    raise AssertionError("it never begins")
""",
}


def test_as_a_plugin(tmp_path: Path) -> None:
    for name, text in PROGRAM.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "UsageError: virtual_clock comes too late" in done.stdout


def test_pytest_is_loaded_for_the_fixtures_alone() -> None:
    code = "import docket.testing, sys; assert 'pytest' not in sys.modules; import docket.testing.fixtures"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
