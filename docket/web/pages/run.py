"""One run: its call, where it stands, how it came there."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...execution import Execution, ExecutionState
from ..markup import Child, Safe, el, join
from ..pieces import button, card, empty, facts, form, hidden, state_badge, task_link
from ..view import Content, Page, Part, Query, Show, View, spelled
from ..words import count, moment, short, stamp

if TYPE_CHECKING:
    from ...docket import Docket

__all__ = ["RUN"]

LIVE = frozenset({ExecutionState.SCHEDULED, ExecutionState.QUEUED, ExecutionState.RUNNING})


async def _read(docket: Docket, query: Query) -> Show:
    key = query.get("key", "")
    if not key:
        raise UsageError("which run? Its key is missing from the address")
    return partial(_show, key, await docket.get_execution(key))


def _show(key: str, run: Execution[Any] | None, view: View) -> Content:
    if run is None:
        gone = empty(
            "Nothing is recorded under this key.",
            "Either no task was ever added by it, or its record has expired: it is kept for a while after the end.",
        )
        return Content(title="No such run", blocks=[_key_line(key), gone], status=404)
    blocks: list[Safe | Part] = [
        _key_line(key),
        Part("state", _state(run, view)),
        Part("way", _way(run, view), "half"),
        Part("facts", _facts(run, view), "half"),
    ]
    if run.last_error:
        blocks.insert(2, Part("error", _error(run)))
    return Content(title=run.function_name, blocks=blocks, document=_document(run))


def _key_line(key: str) -> Safe:
    return el("p", el("code", key), class_="keyline")


def _state(run: Execution[Any], view: View) -> Safe:
    line = el("div", state_badge(run.state.value), el("span", _sentence(run, view.now)), class_="stateline")
    return el(
        "section", el("div", line, _tools(run, view), class_="headline"), _progress(run), class_="card state"
    )


def _sentence(run: Execution[Any], now: datetime) -> Child:
    match run.state:
        case ExecutionState.SCHEDULED:
            begins = join("begins ", moment(run.when, now))
            return join(f"attempt {run.attempt} ", begins) if run.attempt > 1 else begins
        case ExecutionState.QUEUED:
            return join("waits for a worker, due ", moment(run.when, now))
        case ExecutionState.RUNNING:
            since = join(f"on {run.worker}, begun ", moment(run.started_at, now))
            if run.worker_is_gone:
                return join(since, " — its worker is gone; another begins it soon")
            return join(since, " — it was asked to stop") if run.cancel_requested else since
        case _:
            return moment(run.completed_at, now)


def _tools(run: Execution[Any], view: View) -> Safe | None:
    if run.state not in LIVE:
        return None
    return form(
        view, hidden("key", spelled(run.key)), button("Cancel…", "cancel", tone="danger"), action="cancel"
    )


def _progress(run: Execution[Any]) -> Safe | None:
    progress = run.progress
    if not progress.updated_at or progress.current is None:
        return None
    share = min(max(progress.current / progress.total, 0.0), 1.0) if progress.total > 0 else 0.0
    words = f"{count(progress.current)} of {count(progress.total)} ({share:.0%})"
    bar = el("progress", words, max=1000, value=round(share * 1000), aria_label="Progress")
    return el("div", bar, el("p", words, el("span", progress.message, class_="remark")), class_="progress")


def _error(run: Execution[Any]) -> Safe:
    title = "Error" if run.state is ExecutionState.FAILED else "Error of the attempt before"
    return card(title, el("pre", run.last_error, tabindex=0), class_="bad")


def _way(run: Execution[Any], view: View) -> Safe:
    """The stations of the run so far, and the next one."""
    now = view.now
    steps: list[Safe] = [_step("Due", run.when, now, done=run.when <= now)]
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


def _facts(run: Execution[Any], view: View) -> Safe:
    pairs: list[tuple[str, Child]] = [
        ("Call", el("code", run.call_repr())),
        ("Task", task_link(run.function_name)),
        ("Attempt", run.attempt),
        ("Worker", run.worker and el("code", run.worker)),
        ("Generation", run.generation),
        ("Record kept", _kept(run)),
    ]
    return card("Facts", facts(pairs))


def _kept(run: Execution[Any]) -> str | None:
    if run.ttl is ...:
        return None
    return "for ever" if run.ttl is None else f"for {short(run.ttl)} after its end"


def _document(run: Execution[Any]) -> dict[str, object]:
    return {
        "key": run.key,
        "function": run.function_name,
        "call": run.call_repr(),
        "state": run.state.value,
        "when": run.when.isoformat(),
        "attempt": run.attempt,
        "worker": run.worker,
        "started_at": run.started_at and run.started_at.isoformat(),
        "completed_at": run.completed_at and run.completed_at.isoformat(),
        "error": run.last_error,
    }


RUN = Page(path="run", read=_read, follows=True)
