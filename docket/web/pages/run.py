"""One run: its call, where it stands, how it came there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from ...documents import encoded
from ...errors import UsageError
from ...execution import Execution, ExecutionState
from ...rules import FINAL, WAITING, Priority
from ..figures import ended_table
from ..markup import Child, Safe, el, join
from ..pieces import button, card, empty, facts, form, hidden, limit_link, state_badge, task_link
from ..trees import parent_links, tree_card
from ..view import Content, Page, Part, Query, Show, View, spelled
from ..words import coming, count, moment, short, stamp

if TYPE_CHECKING:
    from ...docket import Docket
    from ...operating import Ended, Failure, Tree

__all__ = ["RUN"]

ROWS = 20

#: Of each task group so many children are shown, and so many runs and groups in all.
CHILDREN, LINES = 10, 60

THREADS = "a plain function goes on in its thread until it returns, since nothing can interrupt a thread"


async def _read(docket: Docket, query: Query) -> Show:
    key = query.get("key", "")
    if not key:
        raise UsageError("which run? Its key is missing from the address")
    run = await docket.get_execution(key)
    failure = await docket.failure(key)
    known = [run and run.function_name, failure and failure.function, query.get("task")]
    name = next(filter(None, known), None)
    ended = await docket.history(name, key=key, limit=ROWS) if name is not None else []
    tree = await docket.tree(key, limit=CHILDREN, most=LINES)
    return partial(_show, key, run, failure, ended, tree)


def _show(
    key: str,
    run: Execution[Any] | None,
    failure: Failure | None,
    ended: Sequence[Ended],
    tree: Tree | None,
    view: View,
) -> Content:
    if run is None and failure is not None:
        return _only_failed(key, failure, ended, view)
    if run is None and ended:
        return _only_ended(key, ended, view)
    if run is None:
        gone = empty(
            "Nothing is recorded under this key.",
            "Either no task was ever added by it, or its record has expired: it is kept for a while after the end.",
        )
        return Content(title="No such run", blocks=[_key_line(key), gone], status=404)
    blocks: list[Safe | Part] = [
        _key_line(key),
        Part("state", _state(run, failure, view)),
        Part("way", _way(run, view), "half"),
        Part("facts", _facts(run, tree, view), "half"),
    ]
    blocks += _ended(ended, view)
    if tree is not None:
        blocks.insert(2, Part("tree", tree_card(tree, view) or Safe("")))
    if failure is not None and run.state is not ExecutionState.COMPLETED:
        blocks.insert(2, Part("error", _failure(failure, view)))
    elif run.last_error:
        blocks.insert(2, Part("error", _error(run)))
    document = {**encoded(run), "tree": tree}
    return Content(title=run.function_name, blocks=blocks, document=document)


def _key_line(key: str) -> Safe:
    return el("p", el("code", key), class_="keyline")


def _ended(ended: Sequence[Ended], view: View) -> list[Part]:
    if not ended:
        return []
    return [Part("ended", card("Runs so far", ended_table(ended, view, with_keys=False)))]


def _only_ended(key: str, ended: Sequence[Ended], view: View) -> Content:
    """What is left of a run whose record has expired: the rows of its history."""
    last = ended[0]
    line = el(
        "div",
        state_badge(last.state),
        el("span", moment(last.ended_at, view.now), "; its record has expired, its history is kept"),
        class_="stateline",
    )
    blocks: list[Safe | Part] = [
        _key_line(key),
        Part(
            "state",
            el("section", el("div", line, task_link(last.function), class_="headline"), class_="card"),
        ),
        *_ended(ended, view),
    ]
    return Content(title=last.function, blocks=blocks, document={"key": key, "history": ended})


def _only_failed(key: str, failure: Failure, ended: Sequence[Ended], view: View) -> Content:
    """What is left of a run whose record has expired."""
    tools = form(
        view,
        hidden("key", spelled(key)),
        button("Retry", "retry", tone="main") if failure.retryable else None,
        button("Discard…", "discard", tone="danger"),
        action="retry",
    )
    line = el(
        "div",
        state_badge("failed"),
        el("span", moment(failure.failed_at, view.now), "; nothing else is recorded of it"),
        class_="stateline",
    )
    pairs: list[tuple[str, Child]] = [
        ("Call", el("code", failure.call_repr())),
        ("Task", task_link(failure.function)),
        ("Written", failure.written.words or None),
        ("Attempt", failure.attempt),
        ("Worker", failure.worker and el("code", failure.worker)),
        ("Due", failure.when and stamp(failure.when)),
        ("Begun", failure.started_at and stamp(failure.started_at)),
    ]
    blocks: list[Safe | Part] = [
        _key_line(key),
        Part("state", el("section", el("div", line, tools, class_="headline"), class_="card")),
        Part("error", _failure(failure, view)),
        Part("facts", card("Facts", facts(pairs))),
        *_ended(ended, view),
    ]
    document = {"key": key, "execution": None, "failure": failure, "history": ended}
    return Content(title=failure.function, blocks=blocks, document=document)


def _failure(failure: Failure, view: View) -> Safe:
    """The error with its traceback, and how often that happened."""
    often = None
    if failure.count > 1:
        often = join(f"{count(failure.count)} times since ", moment(failure.first_failed_at, view.now), ". ")
    remark = el(
        "p",
        often,
        "The last time ",
        moment(failure.failed_at, view.now),
        f", in attempt {failure.attempt}.",
        class_="remark",
    )
    copy = el("button", "Copy", type="button", data_copy="traceback", hidden=True)
    text = failure.traceback or f"{failure.type}: {failure.error}"
    head = el("p", el("strong", failure.type), ": ", failure.error, class_="errorline")
    return card("Error", head, remark, el("pre", text, id="traceback", tabindex=0), class_="bad", tools=copy)


def _state(run: Execution[Any], failure: Failure | None, view: View) -> Safe:
    remarks = {
        "paused": run.is_paused,
        "at a limit": run.waits_for is not None,
        "gone": run.worker_is_gone,
        "asked to stop": run.cancel_requested,
    }
    badges = [state_badge(words) for words, is_so in remarks.items() if is_so]
    line = el(
        "div", state_badge(run.state.value), *badges, el("span", _sentence(run, view)), class_="stateline"
    )
    return el(
        "section",
        el("div", line, _tools(run, failure, view), class_="headline"),
        _progress(run),
        class_="card state",
    )


def _sentence(run: Execution[Any], view: View) -> Child:
    now = view.now
    attempt = f"attempt {run.attempt} " if run.attempt > 1 else ""
    again = f", begun {run.times_begun} times" if run.times_begun > 1 else ""
    match run.state:
        case ExecutionState.SCHEDULED | ExecutionState.QUEUED:
            if run.is_paused:
                row = el("a", "waits for a resume", href="pauses")
            elif run.waits_for is not None:
                row = join("waits for the limit ", limit_link(run.waits_for, view.docket))
            elif run.waits_for_turn is not None:
                row = f"waits for its turn: {run.waits_for_turn} ({run.waits_alike} in its row)"
            elif run.state is ExecutionState.SCHEDULED:
                return join(attempt, "begins ", coming(run.when, now))
            else:
                row = "waits for a worker"
            return join(attempt, row, ", due ", moment(run.when, now))
        case ExecutionState.RUNNING:
            gone = " — its worker is gone; another begins it soon" if run.worker_is_gone else None
            asked = f" — it was asked to stop; {THREADS}" if run.cancel_requested else None
            return join(attempt, f"on {run.worker}, begun ", moment(run.started_at, now), again, gone, asked)
        case _:
            return moment(run.completed_at, now)


def _tools(run: Execution[Any], failure: Failure | None, view: View) -> Safe | None:
    buttons: list[Safe] = []
    if run.state is ExecutionState.SCHEDULED and run.when > view.now:
        buttons.append(button("Run now", "run-now"))
    if run.state is ExecutionState.FAILED:
        buttons.append(button("Retry", "retry", tone="main"))
    if failure is not None and failure.final:
        buttons.append(button("Discard…", "discard", tone="danger"))
    if run.state not in FINAL:
        buttons.append(button("Cancel…", "cancel", tone="danger"))
    if not buttons:
        return None
    return form(view, hidden("key", spelled(run.key)), *buttons, action="cancel")


def _progress(run: Execution[Any]) -> Safe | None:
    progress = run.progress
    if not progress.updated_at or progress.current is None:
        return None
    share = min(max(progress.current / progress.total, 0.0), 1.0) if progress.total > 0 else 0.0
    words = f"{count(progress.current)} of {count(progress.total)} ({share:.0%})"
    bar = el("progress", words, max=1000, value=round(share * 1000), aria_label="Progress")
    return el("div", bar, el("p", words, el("span", progress.message, class_="remark")), class_="progress")


#: What the error of a run is called, by its state.
_ERRORS = {ExecutionState.FAILED: "Error", ExecutionState.CANCELLED: "Reason"}


def _error(run: Execution[Any]) -> Safe:
    title = _ERRORS.get(run.state, "Error of the attempt before")
    return card(title, el("pre", run.last_error, tabindex=0), class_="bad")


def _way(run: Execution[Any], view: View) -> Safe:
    """The stations of the run so far, and the next one."""
    now = view.now
    steps: list[Safe] = [_step("Due", run.when, now, done=run.when <= now)]
    if run.queued_at is not None:
        steps.append(_step("Queued", run.queued_at, now))
    if run.state is ExecutionState.QUEUED:
        steps.append(_step("Waits for a worker", None, now, done=False))
    if run.expires is not None and run.state in WAITING:
        steps.append(_step("Expires unless it has begun", run.expires, now, done=False))
    if run.started_at is not None:
        late = run.started_at - run.when
        remark = f"{short(late)} after it was due" if late.total_seconds() > 0.001 else ""
        steps.append(_step("Begun", run.started_at, now, remark=remark))
    if run.completed_at is not None:
        ran = "" if run.started_at is None else f"after {short(run.completed_at - run.started_at)}"
        steps.append(
            _step(run.state.value.capitalize(), run.completed_at, now, remark=ran, tone=run.state.value)
        )
    elif run.state is ExecutionState.RUNNING:
        steps.append(_step("Running", None, now, tone="running"))
    return card("Timeline", el("ol", *steps, class_="way"))


def _step(
    name: str, at: datetime | None, now: datetime, *, done: bool = True, remark: str = "", tone: str = ""
) -> Safe:
    when = el("span", stamp(at), " · ", moment(at, now), class_="remark") if at is not None else None
    kind = " ".join(filter(None, ["done" if done else "open", tone]))
    return el(
        "li", el("strong", name), el("span", remark, class_="after") if remark else None, when, class_=kind
    )


def _facts(run: Execution[Any], tree: Tree | None, view: View) -> Safe:
    pairs: list[tuple[str, Child]] = [
        ("Call", el("code", run.call_repr())),
        ("Task", task_link(run.function_name)),
        ("Child of", tree and parent_links(tree)),
        ("Written", run.written.words or None),
        ("Priority", None if run.priority is Priority.NORMAL else run.priority.value),
        ("Attempt", run.attempt),
        ("Begun", f"{count(run.times_begun)} times: workers were lost" if run.times_begun > 1 else None),
        ("Worker", run.worker and el("code", run.worker)),
        ("Generation", run.generation),
        ("Once more", run.successor and el("code", run.successor.call_repr())),
        ("Record kept", _kept(run)),
    ]
    return card("Facts", facts(pairs))


def _kept(run: Execution[Any]) -> str | None:
    if run.ttl is ...:
        return None
    return "for ever" if run.ttl is None else f"for {short(run.ttl)} after its end"


RUN = Page(path="run", read=_read, follows=True)
