"""The two applications, and how their mistakes are told: one line that names the option, exit status 2."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CoercionError, CycloptsError

from .. import __version__
from ..errors import UsageError

__all__ = ["docket_app", "run", "worker_app"]


def docket_app() -> App:
    """``docket``: its commands are imported when they are called."""
    app = App(name="docket", help="Distributed background tasks for Python functions.", version=__version__)
    app.command("docket.cli.worker:work", name="worker", help="Start a worker to process tasks.")
    app.command("docket.cli.version:version", name="version", help="Print the version of docket.")
    return app


def worker_app() -> App:
    """``docket-worker``."""
    from .worker import work

    app = App(name="docket-worker", help="Start a worker to process tasks.", version=__version__)
    app.default(work)
    return app


def run(app: App, tokens: Sequence[str]) -> int:
    """Run a command line and return the exit status: the command's own (0 unless it says otherwise), or 2.

    Raises: what a command raises, but UsageError: that one, like whatever cannot be parsed, is the user's
            mistake and told in one line on stderr.
    """
    try:
        status = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        print(f"{app.name[0]}: {explained(error)}", file=sys.stderr)
        return 2
    except UsageError as error:
        print(f"{app.name[0]}: {error}", file=sys.stderr)
        return 2
    return status if isinstance(status, int) else 0


def explained(error: CycloptsError) -> str:
    """What was wrong, in one line: the option or the environment variable, what it takes, what it got."""
    if isinstance(error, CoercionError) and error.token is not None:
        named = error.token.keyword or (error.argument.name if error.argument is not None else "")
        if error.msg is not None:  # one of our own converters wrote it
            return f"{named} {error.msg}"
        if error.target_type is bool:
            return f"{named} takes true or false, not {error.token.value!r}"
    error.verbose = False
    return " ".join(str(error).split())
