"""The option ``--backend`` of the examples: the event loop that they run on."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

BACKENDS = ("asyncio", "uvloop", "trio")


def run(backend: str, main: Callable[..., Awaitable[None]], *args: Any) -> None:
    """Run ``main(*args)`` on an event loop; end with one line if its package is not installed."""
    if backend != "asyncio" and importlib.util.find_spec(backend) is None:
        sys.exit(f"--backend {backend} needs {backend}: pip install {backend}")
    if backend == "trio":
        anyio.run(main, *args, backend="trio")
    else:
        anyio.run(main, *args, backend_options={"use_uvloop": backend == "uvloop"})


def run_from_shell(main: Callable[[str], Awaitable[None]], url: str) -> None:
    """Run ``main(url)`` with the URL and the event loop of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url", nargs="?", default=url, help="the server of the docket (default: %(default)s)")
    parser.add_argument("--backend", choices=BACKENDS, default="asyncio", help="the event loop to run on")
    given = parser.parse_args()
    run(given.backend, main, given.url)
