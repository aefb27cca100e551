"""The overview: how much there is, and what goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from ...execution import Execution
from ...rules import Priority
from ..figures import depth_lines, ended_bars, ended_spark, failed_link, total_of
from ..http import address
from ..markup import Child, Safe, el
from ..pieces import Column, card, empty, key_link, table, task_link, tile
from ..view import Content, Page, Part, Query, Show, View
from ..words import coming, count, moment, short

if TYPE_CHECKING:
    from ...docket import Docket
    from ...operating import Counts, Depth, Failure, Interval

__all__ = ["OVERVIEW"]

FEW, BUSY = 6, 10

HOUR = timedelta(hours=1)


@attrs.frozen(kw_only=True)
class _Seen:
    counts: Counts
    running: list[Execution[Any]]
    later: list[Execution[Any]]
    failures: list[Failure]
    hour: list[Interval]
    busiest: Mapping[str, Sequence[Interval]]
    depths: list[Depth]


async def _read(docket: Docket, query: Query) -> Show:
    del query
    counts = await docket.counts()
    running = await docket.executions("running", limit=FEW) if counts.running else None
    later = await docket.executions("later", limit=FEW) if counts.later else None
    failures = await docket.failures(limit=FEW) if counts.failed else []
    seen = _Seen(
        failures=failures,
        hour=await docket.throughput(since=HOUR),
        busiest=await docket.busiest(limit=BUSY),
        depths=await docket.depths(since=HOUR),
        counts=counts,
        running=[*running.executions] if running else [],
        later=[*later.executions] if later else [],
    )
    return partial(_show, seen)


def _show(seen: _Seen, view: View) -> Content:
    blocks = [
        Part("tiles", _tiles(seen.counts, view)),
        Part("hour", _hour(seen), "half"),
        Part("depths", card("Depths", depth_lines(seen.depths)), "half"),
        Part("busiest", _busiest(seen), "half"),
        Part("failures", _failures(seen, view), "half"),
        Part("running", _running(seen, view), "half"),
        Part("later", _later(seen, view), "half"),
    ]
    return Content(title="Overview", blocks=blocks, document=_document(seen))


def _tiles(counts: Counts, view: View) -> Safe:
    waits = None
    if counts.oldest_due is not None:
        waits = f"oldest waits {short(view.now - counts.oldest_due)}"
    if counts.turns:
        waits = f"{count(counts.turns)} wait for their turn"
    draining = f"{count(counts.draining)} draining" if counts.draining else None
    workers = draining if counts.workers else "none is alive"
    return el(
        "div",
        tile("Due", count(counts.due), waits, href=address("work", state="due"), tone="due"),
        *_levels(counts),
        tile("Running", count(counts.running), href=address("work", state="running"), tone="running"),
        tile("Later", count(counts.later), href=address("work", state="later"), tone="later"),
        tile("At a limit", count(counts.limited), href=address("work", state="limited"), tone="limited"),
        tile("Retrying", count(counts.retrying), href=address("failures", state="retrying"), tone="retrying")
        if counts.retrying
        else None,
        tile("Failed", count(counts.failed), href="failures", tone="failed"),
        tile("Paused", count(counts.paused), href="pauses", tone="paused") if counts.paused else None,
        tile("Dead", count(counts.dead), href="dead", tone="failed") if counts.dead else None,
        tile(
            "Workers",
            count(counts.workers),
            workers,
            href="workers",
            tone="completed" if counts.workers else "bad",
        ),
        class_="tiles",
    )


def _levels(counts: Counts) -> list[Safe]:
    """Tiles of the levels besides normal of which something is due, and of normal where nobody serves that."""
    lacking = "no live worker serves it" if counts.workers else None
    tiles = [
        tile(
            f"Due, {level.value}",
            count(depth),
            lacking if level in counts.unserved else None,
            href=address("work", state="due"),
            tone="bad" if lacking and level in counts.unserved else "due",
        )
        for level, depth in counts.levels.items()
    ]
    if lacking and Priority.NORMAL in counts.unserved:
        normal = counts.due - sum(counts.levels.values())
        tiles.append(
            tile("Due, normal", count(normal), lacking, href=address("work", state="due"), tone="bad")
        )
    return tiles


def _hour(seen: _Seen) -> Safe:
    chart = ended_bars(seen.hour, what="Runs that ended in each of the last 60 minutes")
    total = total_of(seen.hour)
    mean, p95 = total.words()
    words = f"{count(total.ended)} runs, mean {mean}, 95 % {p95}" if mean else None
    return card("Last 60 minutes", chart, tools=el("span", words, class_="remark") if words else None)


def _busiest(seen: _Seen) -> Safe:
    if not seen.busiest:
        return card("Busiest tasks", empty("No run has ended in the last hour."))
    rows: list[list[Child]] = []
    for name, hour in seen.busiest.items():
        total = total_of(hour)
        spark = ended_spark(hour, f"Runs of {name} that ended in the last hour")
        mean, _ = total.words()
        rows.append([task_link(name), spark, count(total.ended), failed_link(total, name), mean])
    columns = (
        Column("Task", "name"),
        Column("Last hour"),
        Column("Runs", "number"),
        Column("Failed", "number"),
        Column("Mean", "number"),
    )
    more = el("a", "All tasks", href="tasks")
    listing = table(columns, rows, caption="The tasks of which most runs ended in the last hour")
    return card("Busiest tasks", listing, tools=more)


def _running(seen: _Seen, view: View) -> Safe:
    if not seen.running:
        return card("Running now", empty("Nothing runs."))
    rows = [
        (task_link(each.function_name), key_link(each.key), moment(each.started_at, view.now))
        for each in seen.running
    ]
    columns = (Column("Task", "name"), Column("Key", "key"), Column("Since", "number"))
    more = _more(seen.counts.running, "running")
    return card("Running now", table(columns, rows, caption="What runs now"), tools=more)


def _later(seen: _Seen, view: View) -> Safe:
    if not seen.later:
        return card("Next", empty("Nothing is scheduled for later."))
    rows = [
        (task_link(each.function_name), key_link(each.key), coming(each.when, view.now))
        for each in seen.later
    ]
    columns = (Column("Task", "name"), Column("Key", "key"), Column("Begins", "number"))
    return card(
        "Next", table(columns, rows, caption="What begins next"), tools=_more(seen.counts.later, "later")
    )


def _failures(seen: _Seen, view: View) -> Safe:
    if not seen.failures:
        return card("Newest failures", empty("Nothing has failed."))
    rows = [
        (
            task_link(each.function),
            el(
                "a",
                el("span", each.type, class_="kind"),
                el("span", each.error, class_="errortext"),
                href=address("run", key=each.key),
            ),
            moment(each.failed_at, view.now),
        )
        for each in seen.failures
    ]
    columns = (Column("Task", "name"), Column("Error", "wide"), Column("Failed", "number"))
    more = el("a", f"All {count(seen.counts.failed)}", href="failures") if seen.counts.failed > FEW else None
    return card("Newest failures", table(columns, rows, caption="What failed last"), tools=more)


def _more(total: int, state: str) -> Safe | None:
    return el("a", f"All {count(total)}", href=address("work", state=state)) if total > FEW else None


def _document(seen: _Seen) -> dict[str, object]:
    return {
        "counts": seen.counts,
        "throughput": seen.hour,
        "depths": seen.depths,
        "busiest": seen.busiest,
        "failures": seen.failures,
    }


OVERVIEW = Page(path="", label="Overview", key="o", read=_read)
