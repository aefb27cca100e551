"""The two applications, and how they report errors: one line on stderr, and the exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CoercionError, CycloptsError

from .. import __version__
from ..errors import UsageError
from ..text import printable
from .errors import CommandFailed

__all__ = ["docket_app", "run", "worker_app"]

BROKEN_PIPE = 141
"""The exit status that a shell gives to a command that SIGPIPE ended."""


def docket_app() -> App:
    """``docket``. A command is imported when it is called."""
    app = App(name="docket", help="Distributed background tasks for Python functions.", version=__version__)
    app.command("docket.cli.worker:work", name="worker", help="Start a worker to process tasks.")
    app.command("docket.cli.version:version", name="version", help="Print the version of docket.")
    app.command(
        "docket.cli.completion:completion", name="completion", help="Print what completes docket in a shell."
    )
    app.command("docket.cli.add:add", name="add", help="Add a call of a task.")
    app.command("docket.cli.strike:strike", name="strike", help="Forbid a task, or calls with some argument.")
    app.command("docket.cli.strike:restore", name="restore", help="Take back a strike.")
    app.command(
        "docket.cli.failures:failures", name="failures", help="List what has failed, or show one failure."
    )
    app.command("docket.cli.counts:status", name="status", help="Count what waits and runs on a docket.")
    app.command("docket.cli.show:show", name="show", help="Show one task.")
    app.command("docket.cli.show:limits", name="limits", help="List who runs under limits, and who waits.")
    app.command("docket.cli.show:strikes", name="strikes", help="List the strikes in effect.")
    app.command("docket.cli.history:history", name="history", help="List runs that have ended.")
    app.command(
        "docket.cli.history:throughput",
        name="throughput",
        help="Count the runs that ended in each minute or hour.",
    )
    app.command(
        "docket.cli.schedules:schedules", name="schedules", help="List the tasks that repeat themselves."
    )
    app.command(
        "docket.cli.dead:dead_letters", name="dead-letters", help="List deliveries that could not be read."
    )
    app.command("docket.cli.retry:retry", name="retry", help="Run what has failed again.")
    app.command("docket.cli.retry:discard", name="discard", help="Forget failures.")
    app.command(
        "docket.cli.retry:run_now", name="run-now", help="Have a task that waits for its time run now."
    )
    app.command("docket.cli.pause:pause", name="pause", help="Have no more runs of a task, or of any, begin.")
    app.command(
        "docket.cli.pause:resume", name="resume", help="Have workers run a task again, or all of them."
    )
    app.command("docket.cli.pause:pauses", name="pauses", help="List what is paused.")
    app.command("docket.cli.clear:clear", name="clear", help="Cancel everything that waits on a docket.")
    app.command("docket.cli.cancel:cancel", name="cancel", help="Cancel tasks, or ask them to stop.")
    app.command("docket.cli.snapshot:snapshot", name="snapshot", help="Show what waits and runs on a docket.")
    app.command("docket.cli.watch:watch", name="watch", help="Follow one task until it has ended.")
    app.command("docket.cli.web:web", name="web", help="Serve a dashboard for browsers.")
    tasks = App(name="tasks", help="List the tasks of a docket; add one of those that every worker knows.")
    tasks.command("docket.cli.known:ls", name="ls", help="List the tasks that workers know.")
    tasks.command("docket.cli.tasks:trace", name="trace", help="Add a task that logs a message.")
    tasks.command("docket.cli.tasks:fail", name="fail", help="Add a task that fails.")
    tasks.command("docket.cli.tasks:sleep", name="sleep", help="Add a task that does nothing for a while.")
    app.command(tasks)
    workers = App(name="workers", help="Look at the workers of a docket.")
    workers.command("docket.cli.workers:ls", name="ls", help="List the live workers of a docket.")
    workers.command("docket.cli.workers:for_task", name="for-task", help="List those that know a task.")
    app.command(workers)
    return app


def worker_app() -> App:
    """``docket-worker``."""
    from .worker import work

    app = App(name="docket-worker", help="Start a worker to process tasks.", version=__version__)
    app.default(work)
    return app


def run(app: App, tokens: Sequence[str]) -> int:
    """Run a command line and return the exit status: 0 unless the command says otherwise, 2, or 1.

    2 is a mistake of the user: a command line that cannot be parsed, or UsageError; 1 is CommandFailed. Each prints
    one line on stderr. If nobody reads stdout any more (``docket snapshot | head``), it is 141, and prints nothing.
    Raises: whatever else a command raises.
    """
    _forget_empty_variables()
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="backslashreplace")  # a terminal may not know every letter
    try:
        status = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        _complain(app, explained(error))
        return 2
    except UsageError as error:
        _complain(app, str(error))
        return 2
    except CommandFailed as error:
        for line in error.args:
            _complain(app, line)
        return 1
    except BrokenPipeError:
        return _discard_stdout()
    return status if isinstance(status, int) else 0


def _forget_empty_variables() -> None:
    """Take variables of docket's that are empty for not set, as templates of containers leave them."""
    for name in [
        name for name, text in os.environ.items() if name.startswith("DOCKET_") and not text.strip()
    ]:
        del os.environ[name]


def _complain(app: App, text: str) -> None:
    print(printable(f"{app.name[0]}: {text}"), file=sys.stderr)


def _discard_stdout() -> int:
    """Discard the rest of stdout's buffer, also at the end of Python; return the exit status."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return BROKEN_PIPE


def explained(error: CycloptsError) -> str:
    """The error in one line: the option or environment variable, what it takes, what it got."""
    if isinstance(error, CoercionError) and error.token is not None:
        named = error.token.keyword or (error.argument.name if error.argument is not None else "")
        if error.msg is not None:  # one of our own converters wrote it
            return f"{named} {error.msg}"
        if error.target_type is bool:
            return f"{named} takes true or false, not {error.token.value!r}"
    error.verbose = False
    return " ".join(str(error).split())
