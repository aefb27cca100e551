"""A worker that is told everything by environment variables, as in a container."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import urllib.request
from pathlib import Path

import anyio
import pytest

from docket import Docket
from docket.cli.app import docket_app, run
from tests.cli.office import BIN

MODULE = """
import anyio
from docket import CurrentWorker, Depends, Worker

class Shelf:
    async def get(self, key, **more): ...
    async def put(self, key, value, **more): ...

shelf = Shelf()

async def opened():
    print("opened", flush=True)

async def other(*args, worker: Worker = CurrentWorker(), **kwargs):
    print("instead", worker.name, worker.concurrency, worker.message_batch, worker.max_deliveries,
        worker.max_waiting, *(lane.value for lane in worker.lanes), flush=True)
    print(*(getattr(worker, name).total_seconds() for name in (
        "redelivery_timeout", "reconnection_delay", "minimum_check_interval", "scheduling_resolution",
        "unknown_task_patience",
    )), worker.schedule_automatic_tasks, worker.enable_internal_instrumentation, worker.parent_task_spans, flush=True)
    docket = worker.docket
    print("docket", docket.execution_ttl, docket.heartbeat_interval, docket.missed_heartbeats,
        docket.result_storage is shelf, flush=True)
    await anyio.sleep_forever()

every = []
given = {"opened": Depends(opened)}
"""

ENVIRONMENT = {
    "DOCKET_TASKS": "module_of_a_container:every docket.tasks:standard_tasks",
    "DOCKET_NAME": "orders",
    "DOCKET_FALLBACK_TASK": "module_of_a_container:other",
    "DOCKET_LOGGING_LEVEL": "INFO",
    "DOCKET_LOGGING_FORMAT": "json",
    "DOCKET_WORKER_NAME": "contained",
    "DOCKET_WORKER_CONCURRENCY": "3",
    "DOCKET_WORKER_MESSAGE_BATCH": "7",
    "DOCKET_WORKER_REDELIVERY_TIMEOUT": "1m",
    "DOCKET_WORKER_RECONNECTION_DELAY": "2s",
    "DOCKET_WORKER_MINIMUM_CHECK_INTERVAL": "20ms",
    "DOCKET_WORKER_SCHEDULING_RESOLUTION": "00:03",
    "DOCKET_WORKER_SCHEDULE_AUTOMATIC_TASKS": "false",
    "DOCKET_WORKER_ENABLE_INTERNAL_INSTRUMENTATION": "true",
    "DOCKET_WORKER_HEALTHCHECK_PORT": "0",
    "DOCKET_WORKER_METRICS_PORT": "0",
    "DOCKET_WORKER_DEPENDENCIES": "module_of_a_container:given",
    "DOCKET_PARENT_TASK_SPANS": "true",
    "DOCKET_WORKER_BACKEND": "trio",
    "DOCKET_WORKER_SHUTDOWN_TIMEOUT": "0",
    "DOCKET_WORKER_MAX_DELIVERIES": "4",
    "DOCKET_WORKER_MAX_WAITING": "9",
    "DOCKET_WORKER_LANES": "normal,low",
    "DOCKET_WORKER_UNKNOWN_TASK_PATIENCE": "2h",
    "DOCKET_EXECUTION_TTL": "24h",
    "DOCKET_HEARTBEAT_INTERVAL": "10s",
    "DOCKET_MISSED_HEARTBEATS": "3",
    "DOCKET_RESULT_STORAGE": "module_of_a_container:shelf",
}


def test_every_variable_has_its_effect(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "module_of_a_container.py").write_text(MODULE)

    async def nobody_knows_it() -> None: ...

    async def add() -> None:
        async with Docket(name="orders", url=redis_url) as docket:
            await docket.add(nobody_knows_it)()

    anyio.run(add)
    worker = subprocess.Popen(
        [str(BIN / "docket-worker")],
        cwd=tmp_path,
        env={**os.environ, **ENVIRONMENT, "DOCKET_URL": redis_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(30, worker.kill)
    watchdog.start()
    assert worker.stdout is not None
    try:
        lines: list[str] = []
        for line in worker.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("docket"):
                break
        printed = [line for line in lines if not line.startswith("{")]
        assert printed == [
            "opened",
            "instead contained 3 7 4 9 normal low",
            "60.0 2.0 0.02 3.0 7200.0 False True True",
            "docket 1 day, 0:00:00 0:00:10 3 True",
        ]
        messages = [json.loads(line)["message"] for line in lines if line.startswith("{")]
        ports = re.findall(r"Serving [a-z ]+ on port (\d+)", "\n".join(messages))
        for port in ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                assert answer.status == 200
        assert len(ports) == 2
        worker.send_signal(signal.SIGTERM)
        rest, _ = worker.communicate(timeout=20)
        assert worker.returncode == 0
        assert "handed back" in rest  # at once
    finally:
        watchdog.cancel()
        worker.kill()
        worker.communicate()


@pytest.mark.parametrize("variable", ["DOCKET_URL", "DOCKET_REDIS_URL"])
def test_watch_finds_its_server_and_docket_by_variables(
    variable: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def add() -> None:
        async with Docket(name="orders", url=redis_url) as docket:
            await docket.add("sleep", key="k1")(1)
            await docket.cancel("k1")

    anyio.run(add)
    monkeypatch.setenv("DOCKET_REDIS_URL", "")  # as if it were not set
    monkeypatch.setenv(variable, redis_url)
    monkeypatch.setenv("DOCKET_NAME", "orders")
    assert run(docket_app(), ["watch", "k1"]) == 0
    assert "cancelled" in capsys.readouterr().out
