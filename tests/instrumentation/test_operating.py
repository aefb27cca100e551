"""docs/operating: what its graphs and alerts ask for is what a worker serves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from prometheus_client.parser import text_string_to_metric_families

from docket import ConcurrencyLimit, Docket, Retry, Worker
from tests.instrumentation.conftest import hello
from tests.instrumentation.exposition import Scrape

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[2] / "docs" / "operating"

#: Shown only where some wait.
RARE = {
    "docket_limit_waiters": {"docket_name", "docket_limit"},
    "docket_tasks_waiting": {"docket_name", "docket_task", "docket_worker"},
}


def queries() -> Iterator[str]:
    """Every query of the graphs, and every rule of the alerts with its texts."""
    graphs = json.loads((FOLDER / "grafana.json").read_text())
    for panel in graphs["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["definition"] for one in graphs["templating"]["list"] if "definition" in one)
    yield from (FOLDER / "alerts.yaml").read_text().split("- alert:")[1:]


async def fails(retry: Retry = Retry(attempts=2)) -> None:
    raise ValueError("no")


async def limited(customer: Annotated[int, ConcurrencyLimit(1)]) -> None: ...


async def served(docket: Docket, scrape: Scrape) -> dict[str, set[str]]:
    """What a worker that has had all sorts of tasks shows: each metric with its labels."""
    for task in hello, fails, limited:
        docket.register(task)
    await docket.add(hello)("Jane")
    await docket.add(fails)()
    await docket.add(limited)(1)
    await docket.strike(limited, "customer", "==", 2)
    await docket.add(limited)(2)
    async with Worker(docket, name="w") as worker:
        await worker.run_until_finished()
    shown = {name: set(labels) for name, labels in RARE.items()}
    for family in text_string_to_metric_families(scrape.text()):
        for sample in family.samples:
            shown.setdefault(sample.name, set()).update(sample.labels)
    return shown


async def test_graphs_and_alerts_ask_for_what_is_there(docket: Docket, scrape: Scrape) -> None:
    shown = await served(docket, scrape)
    shown |= {
        "docket_queue_depth": {"docket_name"},
        "docket_schedule_depth": {"docket_name"},
        "docket_failures_kept": {"docket_name"},
        "docket_pauses_in_effect": {"docket_name", "docket_task"},
    }  # only while it works
    labels = set[str]().union(*shown.values())
    wrong: list[str] = []
    asked: set[str] = set()
    for query in queries():
        words = set(re.findall(r"\bdocket_\w+", query))
        metrics = words & shown.keys()
        asked |= metrics
        wrong += [f"{word} in {query!r}" for word in words - metrics - labels]
        allowed = set[str]().union(*(shown[one] for one in metrics))
        wrong += [f"{word} of {sorted(metrics)}" for word in words & labels - allowed]
    assert not wrong
    assert len(asked) > 12


def test_alerts_fire_when_they_are_to_and_not_for_what_waits_for_a_limit_or_a_pause() -> None:
    """alerts.yaml beside this file says which, and when."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool here, so nobody has tried the alerts: apt install prometheus")
    asked = [promtool, "test", "rules", str(Path(__file__).with_name("alerts.yaml"))]
    tried = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert tried.returncode == 0, tried.stdout + tried.stderr


async def test_what_is_counted_of_a_worker_begins_at_zero(docket: Docket, scrape: Scrape) -> None:
    """Else the first failure, and the first run that begins again, increase nothing that a query could see."""
    docket.register(fails)
    async with Worker(docket, name="new") as worker:
        await worker.run_until_finished()
    shown = {
        (sample.name, sample.labels.get("docket_task")): sample.value
        for family in text_string_to_metric_families(scrape.text())
        for sample in family.samples
        if sample.labels.get("docket_worker") == "new"
    }
    counted = ("started", "redelivered", "completed", "failed")
    expected = [(f"docket_tasks_{word}_total", "fails") for word in counted]
    expected += [("docket_tasks_running", "fails"), ("docket_redis_disruptions_total", None)]
    assert [shown.get(each) for each in expected] == [0] * 6
