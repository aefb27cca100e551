"""When lines of cron fire in every zone and each of its changes of the clocks, against a walk through the minutes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, available_timezones

import pytest

from docket.rules import CronLine

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)

LINES = [
    "0 */6 * * *", "*/30 * * * *", "*/7 * * * *", "0 * * * *", "15 */2 * * *", "*/20 2 * * *", "* 1-3 * * *",
    "30 2 * * *", "0 0 * * *", "15 1,2,3 * * *", "0,20,40 0-3 * * *", "59 23 * * *",
]  # fmt: skip


def numbers(field: str, count: int) -> set[int]:
    """The values of a field, by a reading of its own."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        first, last = (0, count - 1) if span == "*" else (int(low), int(high or low))
        found.update(range(first, last + 1, int(step or 1)))
    return found


def offset(at: datetime, zone: tzinfo) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    assert found is not None
    return found


def changes(zone: tzinfo) -> Iterator[datetime]:
    """About when the zone changes its clocks: up to an hour later."""
    at, before = FIRST, offset(FIRST, zone)
    while at < LAST:
        at += HOUR
        if (now := offset(at, zone)) != before:
            yield at
            before = now


def walked(line: str, zone: tzinfo, start: datetime, end: datetime) -> list[datetime]:
    """When a line fires, by a look at the clock on the wall in each minute."""
    minute, hour = line.split()[:2]
    minutes, hours = numbers(minute, 60), numbers(hour, 24)
    follows = minute.startswith("*") or hour.startswith("*")

    def is_due(wall: datetime) -> bool:
        return wall.minute in minutes and wall.hour in hours

    fired: list[datetime] = []
    at = start
    latest = (start - DAY + offset(start - DAY, zone)).replace(tzinfo=None)
    while latest < (start + offset(start, zone)).replace(tzinfo=None):
        latest += MINUTE
    while at < end:
        at += MINUTE
        wall = (at + offset(at, zone)).replace(tzinfo=None)
        if follows:
            due = is_due(wall)
        else:  # each time once, as soon as the clock has come that far
            due, seen = False, latest
            while seen < wall:
                seen += MINUTE
                due = due or is_due(seen)
            latest = max(latest, wall)
        if due:
            fired.append(at)
    return fired


@pytest.mark.chaos
def test_lines_fire_as_the_clock_on_the_wall_shows_in_every_zone() -> None:
    walks: dict[tuple[tuple[datetime, timedelta, timedelta], ...], ZoneInfo] = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        seen = tuple((at, offset(at - HOUR, zone), offset(at, zone)) for at in changes(zone))
        walks.setdefault(seen, zone)  # many zones are alike in these years
    assert len(walks) > 20
    for seen, zone in walks.items():
        for at, *_ in seen or [(FIRST + DAY, timedelta(0), timedelta(0))]:
            start, end = at - 30 * HOUR, at + 30 * HOUR
            for text in LINES:
                line, moment, fired = CronLine.read(text, zone), start, list[datetime]()
                while (moment := line.after(moment).astimezone(UTC)) <= end:
                    fired.append(moment)
                assert fired == walked(text, zone, start, end), (text, zone.key, at)
