"""One task: which workers know it, and what of it waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import attrs

from ...client import compact_signature, get_signature
from ...errors import UsageError
from ..figures import ended_bars, ended_table, total_of
from ..http import address
from ..markup import Child, Safe, el, join
from ..pausing import pause_tools, pause_words
from ..pieces import card, empty, facts
from ..view import Content, Page, Part, Query, Show, View
from ..words import count, plural

if TYPE_CHECKING:
    from ...docket import Docket, WorkerInfo
    from ...operating import Ended, Interval, Pause

__all__ = ["TASK"]


ROWS = 20


@attrs.frozen(kw_only=True)
class _Told:
    """What workers have noted of the task."""

    hour: Sequence[Interval]
    day: Sequence[Interval]
    month: Sequence[Interval]
    ended: Sequence[Ended]


async def _read(docket: Docket, query: Query) -> Show:
    name = query.get("name", "")
    if not name:
        raise UsageError("which task? Its name is missing from the address")
    workers = sorted(await docket.task_workers(name), key=lambda worker: worker.name)
    function = docket.tasks.get(name)
    signature = None if function is None else compact_signature(get_signature(function))
    paused = {each.task: each for each in await docket.pauses()}
    told = _Told(
        hour=await docket.throughput(name, since=timedelta(hours=1)),
        day=await docket.throughput(name, since=timedelta(hours=24), per="hour"),
        month=await docket.throughput(name, since=timedelta(days=30), per="hour"),
        ended=await docket.history(name, limit=ROWS),
    )
    return partial(_show, name, signature, workers, paused, told)


def _show(
    name: str,
    signature: str | None,
    workers: list[WorkerInfo],
    paused: Mapping[str | None, Pause],
    told: _Told,
    view: View,
) -> Content:
    return Content(
        title=name,
        blocks=[
            Part("pause", _pause(name, paused, view)),
            Part("hour", _hour(told), "half"),
            Part("day", _day(told), "half"),
            Part("history", _history(told, view)),
            Part("facts", _facts(name, signature, workers), "half"),
            Part("work", _work(name), "half"),
        ],
        document={"name": name, "workers": [worker.name for worker in workers]},
    )


def _pause(name: str, paused: Mapping[str | None, Pause], view: View) -> Safe:
    words: Child = "Workers begin what of it is due."
    if name in paused:
        words = join(pause_words(paused[name], view), ".")
    tools = pause_tools(view, name, paused)
    return el("section", el("div", el("p", words), tools, class_="headline"), class_="card")


def _hour(told: _Told) -> Safe:
    mean, p95 = total_of(told.hour).words()
    words = el("span", f"mean {mean}, 95 % {p95}", class_="remark") if mean else None
    return card("Last 60 minutes", ended_bars(told.hour, what="Runs that ended in each minute"), tools=words)


def _day(told: _Told) -> Safe:
    month = total_of(told.month)
    words = f"30 days: {count(month.completed)} completed, {count(month.failed)} failed"
    chart = ended_bars(told.day, what="Runs that ended in each hour", clock_format="%H h")
    return card("Last 24 hours", chart, tools=el("span", words, class_="remark"))


def _history(told: _Told, view: View) -> Safe:
    if not told.ended:
        return card("Last runs", empty("No run has ended lately."))
    return card("Last runs", ended_table(told.ended, view, with_keys=True))


def _facts(name: str, signature: str | None, workers: list[WorkerInfo]) -> Safe:
    if not workers:
        return card(
            "Workers", empty("No live worker knows this task.", "What waits of it is kept until one does.")
        )
    call = None if signature is None else el("code", f"{name}({signature})")
    names: Child = el("div", *(el("code", worker.name) for worker in workers[:20]), class_="names")
    return card(
        f"Known by {plural(len(workers), 'worker')}", facts([("Signature", call), ("Workers", names)])
    )


def _work(name: str) -> Safe:
    links = [
        el("a", label, href=address("work", state=state, task=name), class_="button")
        for state, label in (
            ("due", "Due"),
            ("running", "Running"),
            ("later", "Later"),
            ("limited", "At a limit"),
        )
    ]
    return card(
        "Its work", el("p", "What of it waits and runs:", class_="remark"), el("div", *links, class_="links")
    )


TASK = Page(path="task", read=_read)
