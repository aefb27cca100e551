"""Charts as SVG from the server. What each shows is also said in a sentence, and in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs

from .markup import Safe, el
from .words import count

__all__ = ["Series", "bars", "lines", "spark"]

WIDTH, HEIGHT = 600, 100
"""Of the drawing, which is stretched to its place: no text is in it."""

GAP = 1.6


@attrs.frozen
class Series:
    """One row of numbers. ``tone`` is its colour, a class of board.css."""

    name: str
    tone: str
    values: Sequence[int]


def bars(
    series: Sequence[Series], times: Sequence[datetime], *, what: str, clock_format: str = "%H:%M"
) -> Safe:
    """Numbers of each interval on top of each other: what ended in each minute, say."""
    sums = [sum(column) for column in zip(*(each.values for each in series), strict=True)]
    top = _round_up(max(sums, default=0))
    width = WIDTH / max(len(times), 1)
    drawn: list[Safe] = []
    for at in range(len(times)):
        floor = float(HEIGHT)
        for each in series:
            if value := each.values[at]:
                height = value / top * HEIGHT
                floor -= height
                drawn.append(_bar(at * width, floor, max(width - GAP, 0.6), height, each.tone))
    return _chart(series, times, top, drawn, what, clock_format)


def lines(
    series: Sequence[Series], times: Sequence[datetime], *, what: str, clock_format: str = "%H:%M"
) -> Safe:
    """Numbers over time, each a line."""
    top = _round_up(max((value for each in series for value in each.values), default=0))
    step = WIDTH / max(len(times) - 1, 1)

    def point(at: int, value: int) -> str:
        return f"{at * step:.1f},{HEIGHT - value / top * HEIGHT:.2f}"

    drawn = [
        el("polyline", points=" ".join(map(point, range(len(times)), each.values)), class_=each.tone)
        for each in series
    ]
    return _chart(series, times, top, drawn, what, clock_format)


def spark(values: Sequence[int], *, what: str, tone: str, bad: Sequence[int] = ()) -> Safe:
    """A small row of bars, for a line of a table; so many of each are ``bad``: these have the colour of failures."""
    top = max(max(values, default=0), 1)
    width = WIDTH / max(len(values), 1)
    drawn = [
        _bar(at * width, HEIGHT - value / top * HEIGHT, max(width - 3, 1), value / top * HEIGHT, tone)
        for at, value in enumerate(values)
        if value
    ]
    drawn += [
        _bar(at * width, HEIGHT - value / top * HEIGHT, max(width - 3, 1), value / top * HEIGHT, "failed")
        for at, value in enumerate(bad)
        if value
    ]
    failed = f", {count(sum(bad))} failed or were tried again" if any(bad) else ""
    return _svg(drawn, f"{what}: {count(sum(values))} in all{failed}", "spark")


def _bar(x: float, y: float, width: float, height: float, tone: str) -> Safe:
    return el("rect", x=f"{x:.1f}", y=f"{y:.2f}", width=f"{width:.1f}", height=f"{height:.2f}", class_=tone)


def _svg(drawn: Sequence[Safe], label: str, class_: str | None = None) -> Safe:
    return el(
        "svg",
        *drawn,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
        class_=class_,
    )


def _chart(
    series: Sequence[Series],
    times: Sequence[datetime],
    top: int,
    drawn: Sequence[Safe],
    what: str,
    clock_format: str,
) -> Safe:
    grid = [el("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="grid") for y in (0, HEIGHT // 2)]
    totals = ", ".join(f"{count(sum(each.values))} {each.name}" for each in series)
    heights = el(
        "div", *(el("span", count(n)) for n in (top, top // 2, 0)), class_="axis y", aria_hidden="true"
    )
    ends = [times[0], times[len(times) // 2], times[-1]] if len(times) > 2 else list(times)
    moments = el(
        "div", *(el("span", f"{at:{clock_format}}") for at in ends), class_="axis x", aria_hidden="true"
    )
    legend = el(
        "div", *(el("span", el("i", class_=each.tone), each.name) for each in series), class_="legend"
    )
    picture = el("div", heights, _svg([*grid, *drawn], f"{what}: {totals}"), moments, class_="chart")
    return el("div", legend, picture, _table(series, times, clock_format))


def _table(series: Sequence[Series], times: Sequence[datetime], clock_format: str) -> Safe:
    """The numbers of a chart, the latest first, without the times at which there were none."""
    names = [each.name.capitalize() for each in series]
    head = el(
        "tr", el("th", "From", scope="col"), *(el("th", name, scope="col", class_="number") for name in names)
    )
    rows = [
        el("tr", el("td", f"{at:{clock_format}}", data_label="From"), *map(_number, numbers, names))
        for at, *numbers in zip(times, *(each.values for each in series), strict=True)
        if any(numbers)
    ]
    if not rows:
        return Safe("")
    listing = el("table", el("thead", head), el("tbody", *reversed(rows)))
    return el("details", el("summary", "As a table (UTC)"), el("div", listing, class_="scroll"))


def _number(number: int, name: str) -> Safe:
    return el("td", count(number), class_="number", data_label=name)


def _round_up(number: int) -> int:
    """The top of an axis: an even number of few digits."""
    if number <= 2:
        return 2
    size = 10 ** (len(str(number)) - 1)
    for step in (1, 2, 4, 5, 6, 8, 10):
        if number <= step * size and step * size % 2 == 0:
            return step * size
    return 10 * size
