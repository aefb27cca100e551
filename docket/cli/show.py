"""``docket show``, ``limits`` and ``strikes``: one task, who holds and waits for which limit, and what is struck."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from .. import clock
from ..errors import UsageError
from ..execution import Execution, ExecutionState
from ..operating import latest_first
from ..rules import WAITING, Priority
from ..text import printable
from .at import HERE, Here
from .children import list_children
from .errors import CommandFailed
from .existing import check_docket, found_on
from .json_output import Json, print_json
from .options import After, Limit, integer, option
from .server import with_docket
from .tables import past, print_table, relative, span
from .trees import counts_of, lines_of

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import Ended, Failure, Tree

__all__ = ["limits", "show", "strikes"]

Depth = Annotated[int, option("--depth", integer(0, 10))]
WholeKeys = Annotated[bool, Parameter(name="--keys", negative=())]
Group = Annotated[str | None, Parameter(name="--group")]

#: Lines of a tree, at most.
MOST_LINES = 1000


def show(
    key: str,
    /,
    *,
    depth: Depth = 3,
    limit: Limit = 20,
    keys: WholeKeys = False,
    group: Group = None,
    after: After = None,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """Show one task: its call, where it stands, the tree of its children, its error, its past runs.

    Parameters
    ----------
    key
        The key of the task; the exit status is 1 if nothing is known under it.
    depth
        So many levels of children are shown.
    limit
        So many children of each group, at most 1000: failures first, then those that run.
    keys
        Show children by their whole keys, not by their places.
    group
        List the children of this group only: those that have failed, are under way, were cancelled, completed.
    after
        With --group: go on behind this place, which the page before has named.
    json
        Print it as JSON.
    """

    if group is not None:
        list_children(group, limit, after, at, as_json=json)
        return
    if after is not None:
        raise UsageError("--after goes on in the list of one group: name it by --group")

    async def read(
        opened: Docket,
    ) -> tuple[Execution[Any] | None, Failure | None, list[Ended], Tree | None]:
        execution = await opened.get_execution(key)
        tree = await opened.tree(key, depth=depth, limit=limit, most=MOST_LINES)
        failure, ended = await opened.failure(key), await opened.history(key=key, limit=20)
        if execution is None and failure is None and not ended:
            await check_docket(opened)
            raise CommandFailed(f"nothing is known under the key {key!r} on docket {at.docket!r}")
        return execution, failure, ended, tree

    execution, failure, ended, tree = with_docket(read, at)
    if json:
        history = latest_first(ended)
        print_json(at.docket, key=key, execution=execution, failure=failure, history=history, tree=tree)
        return
    now = clock.now()
    if execution is None:
        print(f"Nothing is recorded of {printable(key)!r} but what follows")
    else:
        _print_facts(execution, now)
    if tree is not None:
        _print_tree(tree, now, whole_keys=keys)
    _print_past(failure, ended, now)


def _print_facts(execution: Execution[Any], now: datetime) -> None:
    print(printable(execution.call_repr()))
    for name, value in _facts(execution).items():
        if name not in ("call", "function") and value not in (None, False):
            said = (
                f"{value.isoformat()} ({relative(value, now)})" if isinstance(value, datetime) else str(value)
            )
            print(printable(f"{name.replace('_', ' ')}: {said}"))


def _print_past(failure: Failure | None, ended: Sequence[Ended], now: datetime) -> None:
    if failure is not None and failure.traceback:
        print()
        for line in failure.traceback.splitlines():
            print(printable(line))
    if ended:
        print()
        rows = [
            (
                past(one.ended_at, now),
                one.state,
                str(one.attempt),
                "" if one.ran is None else span(one.ran),
                one.worker,
            )
            for one in latest_first(ended)
        ]
        print_table(("Ended", "State", "Attempt", "Ran", "Worker"), rows)


def _print_tree(tree: Tree, now: datetime, *, whole_keys: bool) -> None:
    for above in tree.parents:
        print(printable(f"child of: {above}"))
    if tree.of_program:
        print("child of: a program")
    if tree.run.has_children:
        print()
        print(", ".join(map(counts_of, tree.run.groups)) or "It has children")
        for line in lines_of(tree, now, whole_keys=whole_keys):
            print(line)


def _facts(execution: Execution[Any]) -> dict[str, Any]:
    progress = execution.progress
    reports = execution.state is ExecutionState.RUNNING and progress.updated_at is not None
    return {
        "call": execution.call_repr(),
        "function": execution.function_name,
        "written": execution.written.words or None,
        "state": execution.state.value,
        "when": execution.when,
        "attempt": execution.attempt,
        "begun": f"{execution.times_begun} times" if execution.times_begun > 1 else None,
        "expires": execution.expires if execution.state in WAITING else None,
        "priority": None if execution.priority is Priority.NORMAL else execution.priority.value,
        "paused": execution.is_paused,
        "waits_for": execution.waits_for,
        "waits_for_its_turn": None
        if execution.waits_for_turn is None
        else f"{execution.waits_for_turn} ({execution.waits_alike} in its row)",
        "cancel_requested": execution.cancel_requested,
        "worker_is_gone": execution.worker_is_gone,
        "once_more": None if execution.successor is None else execution.successor.call_repr(),
        "worker": execution.worker,
        "queued_at": execution.queued_at,
        "started_at": execution.started_at,
        "completed_at": execution.completed_at,
        "progress": f"{progress.current or 0} of {progress.total}" if reports else None,
        "message": progress.message if reports else None,
        "error": execution.error or execution.last_error,
    }


def limits(
    *,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """List the concurrency limits in use: who runs under each, and who waits for it.

    Parameters
    ----------
    json
        Print it as JSON.
    """
    found = with_docket(lambda opened: found_on(opened, opened.concurrency()), at)
    if json:
        print_json(at.docket, limits=found)
        return
    print(f"Limits in use on docket {at.docket!r}: {len(found)}")
    if found:
        rows = [
            (
                each.key,
                str(each.limit),
                str(len(each.holders)),
                str(each.waiting),
                ", ".join(each.holders[:5]),
            )
            for each in found
        ]
        print_table(("Limit", "Most", "Running", "Waiting", "Tasks"), rows, numbers=3)


def strikes(
    *,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """List the strikes in effect.

    Parameters
    ----------
    json
        Print it as JSON.
    """
    made = with_docket(lambda opened: found_on(opened, opened.strikes()), at)
    if json:
        print_json(at.docket, strikes=[each.call_repr() for each in made])
        return
    print(f"Strikes on docket {at.docket!r}: {len(made)}")
    for each in made:
        print(
            printable(
                each.call_repr() if each.parameter is not None else f"{each.function or '*'}(any arguments)"
            )
        )
