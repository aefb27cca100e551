"""Metrics as Prometheus gets them."""

from __future__ import annotations

import urllib.request
from collections.abc import Generator
from contextlib import contextmanager

import attrs
from prometheus_client.parser import text_string_to_metric_families

from docket.instrumentation import metrics_server

__all__ = ["Scrape", "scraping"]


@attrs.frozen
class Scrape:
    """Asks the server for its metrics each time."""

    port: int

    def text(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def of(self, docket: str) -> dict[str, float]:
        """What is said of one docket: ``tasks_started{task=hello,worker=w}`` to its value; buckets left out.

        The names of metrics and labels are without their ``docket_``.
        """
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                if sample.labels.get("docket_name") != docket or sample.name.endswith(
                    ("_bucket", "_created")
                ):
                    continue
                # Those that only other series have are shown empty.
                given = {name: value for name, value in sample.labels.items() if value}
                labels = {name.removeprefix("docket_"): value for name, value in given.items()}
                del labels["name"]
                shown = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
                name = sample.name.removeprefix("docket_").removesuffix("_total")
                found[f"{name}{{{shown}}}" if shown else name] = sample.value
        return found


@contextmanager
def scraping() -> Generator[Scrape]:
    with metrics_server("127.0.0.1", 0) as port:
        assert port is not None
        yield Scrape(port)
