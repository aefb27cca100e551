"""Telemetry that is heard in this room only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from docket.instrumentation import metrics_server
from docket.instrumentation.metrics import Metrics
from docket.signals import signals
from tests.hostile.harness import Witness
from tests.instrumentation.spans import listening


@pytest.fixture(scope="session")
def a_meter_provider() -> None:
    """A process has one; it stays when the server is gone."""
    with metrics_server("127.0.0.1", 0):
        pass


@pytest.fixture
def witness(a_meter_provider: None) -> Iterator[Witness]:
    """What log, metrics and spans say."""
    signals.subscribers[:] = [Metrics()]
    with listening() as heard:
        yield Witness(heard)
    signals.subscribers.clear()
