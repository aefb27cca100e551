"""What minutes and hours saw, as charts and as words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import attrs

from ..operating import latest_first
from .charts import Series, bars, lines, spark
from .http import address
from .markup import Child, Safe, el
from .pieces import Column, empty, key_link, state_badge, table
from .view import View
from .words import count, moment, short

if TYPE_CHECKING:
    from ..operating import Depth, Ended, Interval

__all__ = [
    "Total",
    "by_day",
    "depth_lines",
    "ended_bars",
    "ended_spark",
    "ended_table",
    "failed_link",
    "total_of",
]


@attrs.frozen(kw_only=True)
class Total:
    """What several intervals saw together; durations are None where nothing ran."""

    completed: int
    failed: int
    retried: int
    cancelled: int
    mean: timedelta | None
    p95: timedelta | None
    late: timedelta | None

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.retried + self.cancelled

    def words(self) -> tuple[str, str]:
        """How long the runs took, on average and all but 5 % of them at most."""
        return (
            ("", "") if self.mean is None or self.p95 is None else (short(self.mean), f"~ {short(self.p95)}")
        )


def total_of(intervals: Sequence[Interval]) -> Total:
    runs = [sum(each.histogram) for each in intervals]
    ran = sum(runs)
    histogram = tuple(map(sum, zip(*(each.histogram for each in intervals), strict=True)))
    mean = p95 = late = None
    if ran:
        mean = sum((each.ran * n for each, n in zip(intervals, runs, strict=True)), timedelta(0)) / ran
        late = sum((each.late * n for each, n in zip(intervals, runs, strict=True)), timedelta(0)) / ran
        p95 = attrs.evolve(intervals[0], histogram=histogram).percentile(0.95)
    return Total(
        completed=sum(each.completed for each in intervals),
        failed=sum(each.failed for each in intervals),
        retried=sum(each.retried for each in intervals),
        cancelled=sum(each.cancelled for each in intervals),
        mean=mean,
        p95=p95,
        late=late,
    )


def by_day(hours: Sequence[Interval]) -> list[Interval]:
    """The same, by days in UTC."""
    days: dict[date, list[Interval]] = {}
    for each in hours:
        days.setdefault(each.at.date(), []).append(each)
    found: list[Interval] = []
    for some in days.values():
        total = total_of(some)
        begin = some[0].at.replace(hour=0, minute=0, second=0, microsecond=0)
        found.append(
            attrs.evolve(
                some[0],
                at=begin,
                completed=total.completed,
                failed=total.failed,
                retried=total.retried,
                cancelled=total.cancelled,
            )
        )
    return found


def ended_bars(intervals: Sequence[Interval], *, what: str, clock_format: str = "%H:%M") -> Safe:
    """How many runs ended in each interval, and how."""
    if not any(each.ended for each in intervals):
        return empty("Nothing has ended in this time.")
    series = [
        Series("completed", "completed", [each.completed for each in intervals]),
        Series("retried", "retrying", [each.retried for each in intervals]),
        Series("failed", "failed", [each.failed for each in intervals]),
    ]
    if any(each.cancelled for each in intervals):
        series.append(Series("cancelled", "quiet", [each.cancelled for each in intervals]))
    return bars(series, [each.at for each in intervals], what=what, clock_format=clock_format)


def depth_lines(depths: Sequence[Depth]) -> Safe:
    """How much waited and ran, over time."""
    if len(depths) < 2:
        return empty("There are no depths yet.", "Workers note them once in each minute.")
    series = [
        Series("due", "due", [each.due for each in depths]),
        Series("running", "running", [each.running for each in depths]),
        Series("later", "later", [each.later for each in depths]),
    ]
    return lines(
        series, [each.at for each in depths], what="How many tasks were due, ran and waited for later"
    )


def ended_spark(intervals: Sequence[Interval], what: str) -> Safe | None:
    """A small row of bars; nothing where nothing has ended."""
    if not any(each.ended for each in intervals):
        return None
    bad = [each.failed + each.retried for each in intervals]
    return spark([each.ended for each in intervals], what=what, tone="completed", bad=bad)


def failed_link(total: Total, task: str) -> Child:
    """How many runs of a task failed; what is kept of them, where any did."""
    if not total.failed:
        return "0"
    return el("a", count(total.failed), href=address("failures", task=task), class_="count bad")


def ended_table(rows: Sequence[Ended], view: View, *, with_keys: bool) -> Safe:
    """Single runs that have ended, the latest first."""
    columns = [
        Column("Ended", "number"),
        Column("State"),
        Column("Attempt", "number"),
        Column("Ran", "number"),
        Column("Late", "number"),
        Column("Worker", "worker"),
        Column("Error", "wide"),
    ]
    latest = latest_first(rows)
    cells: list[list[Child]] = [
        [
            moment(each.ended_at, view.now),
            [
                state_badge(each.state),
                each.waited and el("span", f" {each.waited}", class_="remark"),
                _left_out(each),
            ],
            each.attempt,
            short(each.ran) if each.ran is not None else "",
            short(each.late),
            el("code", each.worker),
            el("span", each.error, class_="errortext") if each.error else None,
        ]
        for each in latest
    ]
    if with_keys:
        columns.insert(0, Column("Key", "key"))
        for row, each in zip(cells, latest, strict=True):
            row.insert(0, key_link(each.key, each.function))
    return table(columns, cells, caption="Runs that have ended")


def _left_out(ended: Ended) -> Safe | None:
    """Of many runs at once only some have a row."""
    return el("span", f" and {count(ended.left_out)} more", class_="remark") if ended.left_out else None
