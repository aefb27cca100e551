"""One task: what it did, what it asks for, which workers know it, and what of it waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import attrs

from ...errors import UsageError
from ..figures import by_day, ended_bars, ended_table, total_of
from ..http import address
from ..markup import Child, Safe, el, join
from ..pausing import pause_tools, pause_words
from ..pieces import card, empty, facts, schedule_words
from ..view import Content, Page, Part, Query, Show, View
from ..words import count, moment, plural, short

if TYPE_CHECKING:
    from ...docket import Docket, WorkerInfo
    from ...operating import Ended, Interval, KnownTask, Pause

__all__ = ["TASK"]


ROWS, WORKERS = 20, 20


@attrs.frozen(kw_only=True)
class _Told:
    """What workers have noted of the task."""

    known: KnownTask | None
    workers: Sequence[WorkerInfo]
    hour: Sequence[Interval]
    day: Sequence[Interval]
    month: Sequence[Interval]
    ended: Sequence[Ended]


async def _read(docket: Docket, query: Query) -> Show:
    name = query.get("name", "")
    if not name:
        raise UsageError("which task? Its name is missing from the address")
    paused = {each.task: each for each in await docket.pauses()}
    told = _Told(
        known=await docket.known_task(name),
        workers=sorted(await docket.task_workers(name), key=lambda worker: worker.name),
        hour=await docket.throughput(name, since=timedelta(hours=1)),
        day=await docket.throughput(name, since=timedelta(hours=24), per="hour"),
        month=await docket.throughput(name, since=timedelta(days=30), per="hour"),
        ended=await docket.history(name, limit=ROWS),
    )
    return partial(_show, name, paused, told)


def _show(name: str, paused: Mapping[str | None, Pause], told: _Told, view: View) -> Content:
    if told.known is None and not told.ended:
        text = "No worker has known a task of this name in the last 30 days."
        unknown = empty(text, "What waits of it is kept until one does.")
        blocks: list[Safe | Part] = [unknown]
        if name in paused:
            blocks.append(Part("pause", _pause(name, paused, view)))
        blocks.append(Part("work", _work(name)))
        return Content(title=name, blocks=blocks, status=404)
    document = {
        "task": told.known,
        "workers": [worker.name for worker in told.workers],
        "hours": told.day,
        "history": told.ended,
    }
    blocks = [
        Part("pause", _pause(name, paused, view)),
        Part("hour", _hour(told), "half"),
        Part("day", _day(told), "half"),
        Part("month", _month(told), "half"),
        Part("facts", _facts(name, told, view), "half"),
        Part("history", _history(told, view)),
        Part("work", _work(name)),
    ]
    return Content(title=name, blocks=blocks, document=document)


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
    chart = ended_bars(told.day, what="Runs that ended in each hour", clock_format="%H h")
    return card("Last 24 hours", chart, tools=_sums(told.day))


def _month(told: _Told) -> Safe:
    chart = ended_bars(by_day(told.month), what="Runs that ended on each day", clock_format="%b %d")
    return card("Last 30 days", chart, tools=_sums(told.month))


def _sums(intervals: Sequence[Interval]) -> Safe | None:
    total = total_of(intervals)
    if not total.ended:
        return None
    retried = f", {count(total.retried)} retried" if total.retried else ""
    words = f"{count(total.completed)} completed, {count(total.failed)} failed{retried}"
    return el("span", words, class_="remark")


def _history(told: _Told, view: View) -> Safe:
    if not told.ended:
        return card("Last runs", empty("No run has ended lately."))
    return card("Last runs", ended_table(told.ended, view, with_keys=True))


def _facts(name: str, told: _Told, view: View) -> Safe:
    known, workers = told.known, told.workers
    said = None if known is None else known.description
    pairs: list[tuple[str, Child]] = []
    if said is not None:
        call = None if said.signature is None else el("code", f"{name}({said.signature})")
        attempts = "until it succeeds" if said.attempts is None else f"up to {count(said.attempts)}"
        limits = [el("div", limit) for limit in said.limits]
        pairs += [
            ("What it does", said.doc),
            ("Signature", call),
            ("Repeats itself", None if said.recurrence is None else schedule_words(said.recurrence)),
            ("Attempts", None if said.attempts == 1 else attempts),
            ("Timeout", None if said.timeout is None else short(said.timeout)),
            ("Limits", el("div", *limits) if limits else None),
        ]
    if known is not None:
        pairs.append(("Last run", moment(known.last_ended, view.now)))
    names: Child = el("span", "No live worker knows it: what waits of it is kept until one does.")
    if workers:
        rest = len(workers) - WORKERS
        more = el("span", f"and {count(rest)} more", class_="remark") if rest > 0 else None
        names = el("div", *(el("code", each.name) for each in workers[:WORKERS]), more, class_="names")
    pairs.append((plural(len(workers), "worker") if workers else "Workers", names))
    return card("Facts", facts(pairs))


def _work(name: str) -> Safe:
    links = [
        el("a", label, href=address("work", state=state, task=name), class_="button")
        for state, label in (
            ("due", "Due"),
            ("running", "Running"),
            ("later", "Later"),
            ("limited", "At a limit"),
            ("paused", "Paused"),
        )
    ]
    links.append(el("a", "Failures", href=address("failures", task=name), class_="button"))
    links.append(el("a", "Schedules", href=address("schedules", task=name), class_="button"))
    return card("Its work", el("div", *links, class_="links"))


TASK = Page(path="task", read=_read)
