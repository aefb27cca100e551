"""The workers: who lives, what each knows, and what it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...rules import LEVELS
from ..markup import Child, Safe, el
from ..pieces import Column, card, empty, key_link, state_badge, table, task_link
from ..view import Content, Page, Part, Query, Show, View
from ..words import count, moment, plural

if TYPE_CHECKING:
    from ...docket import Docket, WorkerInfo

__all__ = ["WORKERS"]

MOST = 1000
"""Running tasks that are told by worker."""

SHOWN, SHOWN_RUNS = 8, 4


async def _read(docket: Docket, query: Query) -> Show:
    del query
    workers = sorted(await docket.workers(), key=lambda worker: worker.name)
    running = await docket.executions("running", limit=MOST)
    runs: dict[str, list[str]] = {}
    parents = Counter(each.worker or "" for each in running.executions if each.is_parent)
    for each in running.executions:
        runs.setdefault(each.worker or "", []).append(each.key)
    return partial(_show, workers, runs, parents, running.total > MOST)


def _show(
    workers: list[WorkerInfo],
    runs: Mapping[str, list[str]],
    parents: Mapping[str, int],
    is_part: bool,
    view: View,
) -> Content:
    return Content(
        title="Workers",
        blocks=[Part("workers", _list(workers, runs, parents, is_part, view))],
        document={"workers": workers},
    )


def _list(
    workers: list[WorkerInfo],
    runs: Mapping[str, list[str]],
    parents: Mapping[str, int],
    is_part: bool,
    view: View,
) -> Safe:
    if not workers and not runs:
        return empty(
            "No worker is alive.",
            "What is on the docket waits until one begins: docket worker, or Worker in a program.",
        )
    alive = {worker.name for worker in workers}
    rows: list[list[Child]] = [
        [
            _name(worker),
            moment(worker.last_seen, view.now),
            _runs(runs.get(worker.name, []), parents.get(worker.name, 0), is_part),
            _tasks(worker),
        ]
        for worker in workers
    ]
    rows += [
        [
            el("code", name),
            state_badge("gone"),
            _runs(keys, parents.get(name, 0), is_part),
            "what it ran is begun again soon",
        ]
        for name, keys in sorted(runs.items())
        if name not in alive
    ]
    columns = (
        Column("Worker", "key"),
        Column("Seen", "number"),
        Column("Runs", "key"),
        Column("Tasks", "wide"),
    )
    title = f"{plural(len(workers), 'worker')} alive"
    return card(None, table(columns, rows, caption=title, visible=True), class_="flush")


def _name(worker: WorkerInfo) -> Safe:
    """It drains once it was told to stop, until what it runs has ended."""
    name = el("code", worker.name)
    lanes = None
    if worker.lanes is not None and worker.lanes != LEVELS:
        lanes = el(
            "span", f"serves {' and '.join(each.value for each in worker.lanes)} only", class_="remark"
        )
    drains = state_badge("draining") if worker.draining else None
    return el("div", name, drains, lanes, class_="names") if drains or lanes else name


def _runs(keys: Sequence[str], parents: int, is_part: bool) -> Child:
    """What a worker runs."""
    more = len(keys) - SHOWN_RUNS
    rest = el("span", f"and {count(more)}{'+' * is_part} more", class_="remark") if more > 0 else None
    waits = el("span", f"{count(parents)} with a task group open", class_="remark") if parents else None
    return el("div", *map(key_link, keys[:SHOWN_RUNS]), rest, waits, class_="names") if keys else "nothing"


def _tasks(worker: WorkerInfo) -> Safe:
    names = sorted(worker.tasks)
    shown = [task_link(name) for name in names[:SHOWN]]
    if len(names) > SHOWN:
        rest = el("ul", *(el("li", task_link(name)) for name in names[SHOWN:]))
        return el(
            "div", *shown, el("details", el("summary", f"{len(names) - SHOWN} more"), rest), class_="names"
        )
    return el("div", *shown, class_="names")


WORKERS = Page(path="workers", label="Workers", key="k", read=_read)
