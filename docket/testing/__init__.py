"""What tests of a program that uses docket need: time travel, assertions, workers that end."""

from __future__ import annotations

from .backend_asyncio import VirtualEventLoop
from .clocks import run, virtual_backend, virtual_backends

__all__ = ["VirtualEventLoop", "run", "virtual_backend", "virtual_backends"]
