"""The commands ``docket`` and ``docket-worker``: parse, call one function, print.

Whatever a command needs is imported when it runs; asking for the version loads neither the worker nor Redis.
"""

from __future__ import annotations

import importlib
import sys

__all__ = ["main", "worker_main"]


def main() -> None:
    """The command ``docket``, also ``python -m docket``; ends the process with the exit status."""
    _check_parser("docket")
    from .app import docket_app, run

    sys.exit(run(docket_app(), sys.argv[1:]))


def worker_main() -> None:
    """The command ``docket-worker``, the same as ``docket worker``; ends the process with the exit status."""
    _check_parser("docket-worker")
    from .app import run, worker_app

    sys.exit(run(worker_app(), sys.argv[1:]))


def _check_parser(command: str) -> None:
    """End the process where the package is not installed that reads command lines (a minimal install)."""
    try:
        importlib.import_module("cyclopts")
    except ModuleNotFoundError as error:
        if error.name != "cyclopts":
            raise
        print(f"{command}: the command line needs cyclopts; pip install 'anydocket[cli]'", file=sys.stderr)
        sys.exit(1)
