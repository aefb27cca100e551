"""The two HTTP servers of a worker's process, and what they say when they cannot serve."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from docket.errors import PortUnavailable
from docket.instrumentation import healthcheck_server, metrics_server, serving

LOCAL = "127.0.0.1"


def asked(port: int | None, method: str = "GET", path: str = "/") -> tuple[int, str | None, bytes]:
    """Status, content type and content of an answer."""
    assert port is not None
    connection = http.client.HTTPConnection(LOCAL, port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/", "/healthz", "/anything?at=all"])
def test_a_health_check_is_answered_with_ok_under_every_path(path: str) -> None:
    with healthcheck_server(LOCAL, 0) as port:
        assert asked(port, path=path) == (200, "text/plain", b"OK")


def test_a_load_balancer_may_ask_with_head() -> None:
    with healthcheck_server(LOCAL, 0) as port:
        assert asked(port, "HEAD") == (200, "text/plain", b"")


class Checked:
    """A worker that answers as it is told to."""

    def __init__(self, live: list[str], ready: list[str]) -> None:
        self.live, self.ready = live, ready

    def liveness(self) -> list[str]:
        return self.live

    def readiness(self) -> list[str]:
        return self.ready


def test_of_a_worker_live_and_ready_are_told_with_reasons() -> None:
    worker = Checked([], ["the worker is stopping"])
    with healthcheck_server(LOCAL, 0, worker) as port:
        assert asked(port, path="/live?full") == (200, "application/json", b'{"live": true, "reasons": []}\n')
        status, _, content = asked(port, path="/ready")
        assert (status, json.loads(content)) == (503, {"ready": False, "reasons": ["the worker is stopping"]})
        worker.live, worker.ready = ["it hangs"], []
        assert asked(port, path="/live")[0] == 503
        assert asked(port, path="/ready")[0] == 200
        assert asked(port) == (200, "text/plain", b"OK")


def test_a_client_that_dawdles_is_cut_off_and_others_are_answered_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its time is that of the whole request: a byte now and then does not prolong it."""
    monkeypatch.setattr(serving, "REQUEST_SECONDS", 0.3)
    with healthcheck_server(LOCAL, 0) as port, socket.create_connection((LOCAL, port or 0)) as slow:
        slow.settimeout(0.05)
        began, ended = time.perf_counter(), False
        while not ended and time.perf_counter() - began < 10:
            assert asked(port)[0] == 200
            try:
                slow.send(b"G")
                ended = not slow.recv(1)
            except TimeoutError:
                pass
            except ConnectionError:
                ended = True
        assert ended
        assert time.perf_counter() - began >= 0.3


def test_more_clients_than_the_limit_are_turned_away_and_leave_no_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(serving, "REQUEST_SECONDS", 0.5)
    before = threading.active_count()
    with healthcheck_server(LOCAL, 0) as port, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection((LOCAL, port or 0)))
        assert asked(port)[0] == 503  # they are accepted in their order
        while asked(port)[0] == 503:  # until the idle ones are cut off
            time.sleep(0.05)
    assert threading.active_count() <= before + 1


def test_without_a_port_nothing_is_served() -> None:
    before = threading.active_count()
    with healthcheck_server(LOCAL) as health, metrics_server(LOCAL) as metrics:
        assert (health, metrics) == (None, None)
        assert threading.active_count() == before


def test_after_the_block_nothing_is_served_and_no_thread_is_left() -> None:
    before = threading.active_count()
    with healthcheck_server(LOCAL, 0) as port:
        assert asked(port)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        asked(port)
    assert threading.active_count() <= before + 1  # the one that answered may take a moment to end


def test_metrics_have_prometheus_text_format_and_its_content_type() -> None:
    with metrics_server(LOCAL, 0) as port:
        status, content_type, content = asked(port, path="/metrics")
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"# TYPE process_cpu_seconds_total counter" in content


@pytest.mark.parametrize("serve", [healthcheck_server, metrics_server])
def test_a_port_that_is_in_use_is_named(serve: type) -> None:
    with healthcheck_server(LOCAL, 0) as port:
        with pytest.raises(PortUnavailable, match=rf"cannot be served on port {port} of {LOCAL}") as caught:
            with serve(LOCAL, port):
                pass
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, ValueError)


WITHOUT = """
import importlib.abc, json, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if any(name == gone or name.startswith(gone + ".") for gone in {missing!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
said = []
try:
    {code}
except Exception as error:
    said = [type(error).__name__, str(error)]
print(json.dumps(said))
"""


def without(missing: list[str], code: str) -> list[str]:
    """What a fresh process without some packages says to some code: type and text of its exception."""
    program = WITHOUT.format(missing=missing, code=code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_without_opentelemetry_what_needs_it_says_which_extra_to_install() -> None:
    kind, said = without(["opentelemetry"], "from docket.instrumentation import TASKS_ADDED")
    assert kind == "ImportError"
    assert "pip install 'anydocket[otel]'" in said


def test_without_the_prometheus_exporter_serving_metrics_says_which_extra_to_install() -> None:
    code = "from docket.instrumentation import metrics_server; metrics_server(port=0).__enter__()"
    kind, said = without(["opentelemetry.exporter", "prometheus_client"], code)
    assert kind == "ImportError"
    assert "pip install 'anydocket[metrics]'" in said


def test_health_checks_need_no_opentelemetry() -> None:
    code = "from docket.instrumentation import healthcheck_server; healthcheck_server('127.0.0.1', 0).__enter__()"
    assert without(["opentelemetry"], code) == []


def test_without_opentelemetry_dockets_and_workers_work() -> None:
    code = """
    import anyio, docket

    async def task():
        return 3

    async def main():
        async with docket.Docket("plain", "memory://plain") as plain, docket.Worker(plain) as worker:
            execution = await plain.add(task)()
            assert execution.trace_context is None
            assert execution.incoming_span_links() == []
            await worker.run_until_finished()
            assert await execution.get_result() == 3

    anyio.run(main)"""
    assert without(["opentelemetry"], code.strip()) == []
