"""The HTTP servers of a process with a worker: health checks, and metrics for Prometheus.

Each server answers from threads of its own, so that a busy event loop does not keep it from answering.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import logging
import selectors
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Protocol, TypeAlias, cast

from ..clock import perf_counter
from ..errors import PortUnavailable
from ..signals import signals

__all__ = ["healthcheck_server", "metrics_server"]

logger = logging.getLogger("docket")

PLAIN_TEXT = "text/plain"
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
"""Source: https://prometheus.io/docs/instrumenting/exposition_formats/#basic-info"""


#: Clients that are served at a time by one server, each by a thread. More are turned away.
MOST_CONNECTIONS = 32

#: How many seconds a client has for its request and its answer in all.
REQUEST_SECONDS = 10.0

Answer: TypeAlias = tuple[int, str, bytes]
"""The status, the type of the content, the content."""


class Checked(Protocol):
    """A worker, as far as health checks ask it, from other threads than its own."""

    def liveness(self) -> Sequence[str]: ...

    def readiness(self) -> Sequence[str]: ...


@contextmanager
def healthcheck_server(
    host: str = "0.0.0.0", port: int | None = None, worker: Checked | None = None
) -> Generator[int | None, None, None]:
    """Answer every GET with 200 and ``OK`` for as long as the block runs; with ``port`` None, serve nothing.

    With a ``worker``, ``/live`` and ``/ready`` answer with JSON, and with 503 where there are reasons against it.
    Yields the port: the one given, or one that was free for ``port`` 0.
    Raises: PortUnavailable (a ValueError and an OSError) - the port is in use, or not for us.
    """

    def answer(path: str) -> Answer:
        if worker is None or path not in ("/live", "/ready"):
            return 200, PLAIN_TEXT, b"OK"
        reasons = worker.liveness() if path == "/live" else worker.readiness()
        content = json.dumps({path[1:]: not reasons, "reasons": reasons}) + "\n"
        return 503 if reasons else 200, "application/json", content.encode()

    with _serving("health checks", host, port, answer) as served:
        yield served


@contextmanager
def metrics_server(host: str = "0.0.0.0", port: int | None = None) -> Generator[int | None, None, None]:
    """Answer every GET with the metrics of this process in Prometheus' text format; else as `healthcheck_server`.

    The first one sets up OpenTelemetry's metrics for the process, unless the program did so before: then its
    provider needs a Prometheus reader for docket's metrics to be among those shown.
    Raises: PortUnavailable; ImportError - the packages of the extra ``metrics`` are missing.
    """
    if port is None:
        yield None
        return
    exposition = _exposition()
    with _serving("metrics", host, port, lambda _: (200, EXPOSITION, exposition())) as served:
        yield served


@functools.cache  # a process has one meter provider, and one registry for Prometheus
def _exposition() -> Callable[[], bytes]:
    try:
        from opentelemetry import metrics
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from opentelemetry.sdk.metrics import MeterProvider
        from prometheus_client import REGISTRY, generate_latest
    except ImportError as error:
        raise ImportError(
            f"metrics for Prometheus need packages that are not here ({error}): pip install 'anydocket[metrics]'"
        ) from error
    if not isinstance(metrics.get_meter_provider(), MeterProvider):
        # The same labels as pydocket's: newer exporters add those of the scope by default.
        settings: dict[str, Any] = {}
        if "scope_info_enabled" in inspect.signature(PrometheusMetricReader).parameters:
            settings["scope_info_enabled"] = False
        metrics.set_meter_provider(MeterProvider([PrometheusMetricReader(**settings)]))
    elif not any(metric.name.startswith(("target", "docket_")) for metric in REGISTRY.collect()):
        logger.warning(
            "This program has a MeterProvider of its own without a PrometheusMetricReader: "
            "the metrics of docket are not among those that are served"
        )
    signals.connect_opentelemetry()
    return functools.partial(generate_latest, REGISTRY)


class _Server(ThreadingHTTPServer):
    """Serves what ``answer`` returns for a path, to a limited number of clients at a time, each for a limited time."""

    daemon_threads = True
    timeout = 0  # `handle_request` is called when there is one

    def __init__(self, host: str, port: int, answer: Callable[[str], Answer]) -> None:
        self.answer = answer
        self._ends: dict[Any, float] = {}
        """The open connections, each with the moment at which it is closed, in seconds of perf_counter."""
        self._noting = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # without HTTPServer's look for the host's name, which may take seconds
        self.server_name, self.server_port = cast("tuple[str, int]", self.server_address[:2])

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("A request from %s failed", client_address, exc_info=True)

    def serve_until(self, stop: socket.socket) -> None:
        """Serve until there is something to read from ``stop``."""
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(stop, selectors.EVENT_READ)
            while stop not in (ready := [key.fileobj for key, _ in selector.select(self._close_late())]):
                if ready:
                    self.handle_request()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._noting:
            is_full = len(self._ends) >= MOST_CONNECTIONS
            if not is_full:
                self._ends[request] = perf_counter() + REQUEST_SECONDS
        if is_full:
            with contextlib.suppress(OSError):
                request.setblocking(False)
                request.send(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._noting:
            self._ends.pop(request, None)
        super().shutdown_request(request)

    def _close_late(self) -> float | None:
        """End the connections whose time is over; return for how many seconds the next one has some left."""
        with self._noting:
            now = perf_counter()
            for request, end in self._ends.items():
                if end <= now:
                    with contextlib.suppress(OSError):
                        request.shutdown(socket.SHUT_RDWR)  # its thread sees that, and closes it
            return min((end - now for end in self._ends.values() if end > now), default=None)


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_SECONDS  # between two parts of a request

    def _answer(self, *, with_body: bool) -> None:
        server = cast("_Server", self.server)
        status, content_type, content = server.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("%s: %s", self.address_string(), format % args)


@contextmanager
def _serving(
    what: str, host: str, port: int | None, answer: Callable[[str], Answer]
) -> Generator[int | None, None, None]:
    if port is None:
        yield None
        return
    try:
        server = _Server(host, port, answer)
    except OSError as error:
        raise PortUnavailable(
            f"{what} cannot be served on port {port} of {host}: {error}; choose another port, or None"
        ) from error
    ending, stop = socket.socketpair()
    thread = threading.Thread(target=server.serve_until, args=[stop], name=f"docket {what}", daemon=True)
    with server, ending, stop:
        thread.start()
        logger.info("Serving %s on port %d of %s", what, server.server_port, host)
        try:
            yield server.server_port
        finally:
            ending.send(b".")
            thread.join()
