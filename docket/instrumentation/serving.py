"""The HTTP servers of a process with a worker: health checks, and metrics for Prometheus.

Each server answers from threads of its own, so that a busy event loop does not keep it from answering.
"""

from __future__ import annotations

import functools
import inspect
import logging
import selectors
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, cast

from ..errors import PortUnavailable
from ..signals import signals

__all__ = ["healthcheck_server", "metrics_server"]

logger = logging.getLogger("docket")

PLAIN_TEXT = "text/plain"
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
"""Source: https://prometheus.io/docs/instrumenting/exposition_formats/#basic-info"""


@contextmanager
def healthcheck_server(host: str = "0.0.0.0", port: int | None = None) -> Generator[int | None, None, None]:
    """Answer every GET with 200 and ``OK`` for as long as the block runs; with ``port`` None, serve nothing.

    Yields the port: the one given, or one that was free for ``port`` 0.
    Raises: PortUnavailable (a ValueError and an OSError) - the port is in use, or not for us.
    """
    with _serving("health checks", host, port, PLAIN_TEXT, lambda: b"OK") as served:
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
    with _serving("metrics", host, port, EXPOSITION, _exposition()) as served:
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
    """Serves one text, computed per request."""

    daemon_threads = True
    timeout = 0  # `handle_request` is called when there is one

    def __init__(self, host: str, port: int, content_type: str, content: Callable[[], bytes]) -> None:
        self.content_type, self.content = content_type, content
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
            while stop not in (ready.fileobj for ready, _ in selector.select()):
                self.handle_request()


class _Handler(BaseHTTPRequestHandler):
    timeout = 10.0  # seconds that a client has for its request

    def _answer(self, *, with_body: bool) -> None:
        server = cast("_Server", self.server)
        content = server.content()
        self.send_response(200)
        self.send_header("Content-Type", server.content_type)
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
    what: str, host: str, port: int | None, content_type: str, content: Callable[[], bytes]
) -> Generator[int | None, None, None]:
    if port is None:
        yield None
        return
    try:
        server = _Server(host, port, content_type, content)
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
