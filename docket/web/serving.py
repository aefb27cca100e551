"""A server of its own for dashboards: hypercorn, on any of the three event loops."""

from __future__ import annotations

import importlib
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Collection
from contextlib import closing
from typing import Any, Protocol

import anyio
import attrs
from anyio.abc import TaskGroup

from ..errors import PortUnavailable
from .answers import plain
from .http import Receive, Scope, Send, request_of, respond

__all__ = ["OnlyHosts", "Serveable", "bind", "is_loopback", "serve"]

logger = logging.getLogger("docket.web")

PATIENCE = 2.0
"""How many seconds requests have to end once the server stops."""


class Serveable(Protocol):
    """An ASGI application that can end what would keep its server from stopping."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None: ...
    def close(self) -> None: ...


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """Listen there; port 0 is any that is free. Raises: PortUnavailable (a ValueError and an OSError)."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=100
        )
    except OSError as error:
        raise PortUnavailable(f"the dashboard cannot be served on port {port} of {host}: {error}") from error


@attrs.define(eq=False)
class OnlyHosts:
    """Answers only requests to some names: else any page could have a browser look for it, by a name of its own
    that it lets point here (DNS rebinding)."""

    app: Serveable
    names: Collection[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None:
        if scope["type"] == "http":
            host = request_of(scope).headers.get("host", "")
            name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
            if name.lower() not in self.names and not is_loopback(name):
                text = (
                    f"This server is not {name or 'without a name'}. Without a password it answers only to localhost, "
                    "and to what docket web --allow-host adds."
                )
                await respond(send, plain(421, "Not this server", text, home=None))
                return
        await self.app(scope, receive, send)

    def close(self) -> None:
        self.app.close()


async def serve(
    app: Serveable, listening: socket.socket, *, backend: str, ready: Callable[[], None] = lambda: None
) -> None:
    """Serve until SIGTERM or SIGINT; ``backend`` is the library of the running event loop. Takes the socket over.

    Raises: ModuleNotFoundError - hypercorn is missing.
    """
    from hypercorn.config import Config

    run: Callable[..., Awaitable[None]] = importlib.import_module(f"hypercorn.{backend}").serve
    config: Any = Config()
    with closing(listening):
        handed = os.dup(listening.fileno())  # on asyncio hypercorn closes it, on trio not
    config.bind = [f"fd://{handed}"]
    config.accesslog, config.errorlog = None, logging.getLogger("docket.web.server")
    config.errorlog.setLevel(logging.WARNING)  # that it runs is said where the command says it
    config.include_server_header = False
    config.graceful_timeout = PATIENCE
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(_until_signal, app, stop, group)
        # In a task of its own: on asyncio hypercorn leaves its task with a cancellation that it has not taken back.
        group.start_soon(_run, run, app, config, stop, group)
        ready()


async def _run(
    run: Callable[..., Awaitable[None]], app: Serveable, config: Any, stop: anyio.Event, group: TaskGroup
) -> None:
    await run(app, config, shutdown_trigger=stop.wait, mode="asgi")
    group.cancel_scope.cancel()


async def _until_signal(app: Serveable, stop: anyio.Event, group: TaskGroup) -> None:
    """Stop at the first signal, and let go of everything at the next one."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for received in signals:
            if stop.is_set():
                group.cancel_scope.cancel()
                return
            logger.info("Received %s, stopping", received.name)
            app.close()
            stop.set()
