"""The commands ``docket`` and ``docket-worker``: parse, call one function, print.

Whatever a command needs is imported when it runs; asking for the version loads neither the worker nor Redis.
"""

from __future__ import annotations

import sys

__all__ = ["main", "worker_main"]


def main() -> None:
    """The command ``docket``, also ``python -m docket``; ends the process with the exit status."""
    from .app import docket_app, run

    sys.exit(run(docket_app(), sys.argv[1:]))


def worker_main() -> None:
    """The command ``docket-worker``, the same as ``docket worker``; ends the process with the exit status."""
    from .app import run, worker_app

    sys.exit(run(worker_app(), sys.argv[1:]))
