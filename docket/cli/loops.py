"""The event loops that a command can run on."""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import anyio

from ..errors import UsageError
from .options import choice, option

__all__ = ["BACKENDS", "Backend", "check_backend", "run_on"]

T = TypeVar("T")

BACKENDS = ("asyncio", "uvloop", "trio")
Backend = Annotated[str, option("--backend", choice(*BACKENDS))]


def check_backend(backend: str) -> None:
    """Check that the package of an event loop is installed.

    Raises: UsageError - it is not.
    """
    if backend != "asyncio" and importlib.util.find_spec(backend) is None:
        raise UsageError(f"--backend {backend} needs {backend}: pip install 'anydocket[{backend}]'")


def run_on(backend: str, function: Callable[[], Awaitable[T]]) -> T:
    """Run an async function on an event loop of its own, and return its result."""
    if backend == "trio":
        return anyio.run(function, backend="trio")
    return anyio.run(function, backend="asyncio", backend_options={"use_uvloop": backend == "uvloop"})
