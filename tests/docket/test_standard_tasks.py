"""`docket.tasks`: trace, fail and sleep, which every docket knows."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import pytest

from docket import Docket
from docket.tasks import fail, sleep, standard_tasks, trace
from tests.docket.conftest import work

pytestmark = pytest.mark.anyio


async def test_trace_logs_where_and_when(docket: Docket, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "docket.task"):
        execution = await docket.add(trace)("Howdy!")
        await work(docket)
        assert await execution.get_result() is None
    (record,) = [record for record in caplog.records if record.name == "docket.task.trace"]
    said = rf"Howdy!: '{execution.key}' added to docket 'd' 0:00:0\d(\.\d+)? ago now running on worker '.+'"
    assert re.fullmatch(said, record.getMessage())


async def test_fail_fails_twice(docket: Docket) -> None:
    execution = await docket.add("fail")("Oh no")
    await work(docket)
    with pytest.raises(
        Exception,
        match=rf"Oh no: {execution.key} added to docket d 0:00:0\d(\.\d+)? ago now running on worker .+",
    ):
        await execution.get_result()


async def test_sleep_sleeps(docket: Docket) -> None:
    execution = await docket.add(sleep)(0.001)
    await work(docket)
    assert await execution.get_result() is None


def test_the_standard_tasks_are_a_collection(url: str) -> None:
    docket = Docket("d", url)
    docket.register_collection("docket.tasks:standard_tasks")
    assert (
        [docket.tasks[name] for name in ("trace", "fail", "sleep")] == standard_tasks == [trace, fail, sleep]
    )


def test_importing_docket_does_not_load_them() -> None:
    code = "import docket, sys; assert 'docket.tasks' not in sys.modules and 'docket.dependencies' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
