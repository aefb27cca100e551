"""When lines of cron fire, over both changes of the clocks of two zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSimError

from docket.errors import UsageError
from docket.rules import VIXIE_KEYWORDS, CronLine

LORD_HOWE, TROLL = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Antarctica/Troll")
NEW_YORK, BERLIN, HAVANA = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/Havana")

#: The line, the zone, the local date and time from which on, and what the local clock and its offset show then.
TABLE: list[tuple[str, ZoneInfo, str, list[str]]] = [
    # Once a day: 02:30 is skipped in New York on 8 March 2026, and 01:30 comes twice on 1 November.
    ("30 2 * * *", NEW_YORK, "2026-03-07 00:00", ["07T02:30-0500", "08T03:00-0400", "09T02:30-0400"]),
    ("30 1 * * *", NEW_YORK, "2026-10-31 00:00", ["31T01:30-0400", "01T01:30-0400", "02T01:30-0500"]),
    # In Berlin 02:00 to 03:00 is skipped on 29 March 2026, and comes twice on 25 October.
    ("15 2 * * *", BERLIN, "2026-03-28 00:00", ["28T02:15+0100", "29T03:00+0200", "30T02:15+0200"]),
    ("15 2 * * *", BERLIN, "2026-10-24 00:00", ["24T02:15+0200", "25T02:15+0200", "26T02:15+0100"]),
    ("@daily", BERLIN, "2026-03-28 12:00", ["29T00:00+0100", "30T00:00+0200", "31T00:00+0200"]),
    ("@daily", BERLIN, "2026-10-24 12:00", ["25T00:00+0200", "26T00:00+0100", "27T00:00+0100"]),
    # What falls into the gap together is one time, also with what comes right after it.
    ("0,20,40 2 * * *", BERLIN, "2026-03-28 02:30", ["28T02:40+0100", "29T03:00+0200", "30T02:00+0200"]),
    ("0 2,3,4 * * *", BERLIN, "2026-03-29 00:00", ["29T03:00+0200", "29T04:00+0200", "30T02:00+0200"]),
    ("0 0-4 * * *", NEW_YORK, "2026-11-01 00:30", ["01T01:00-0400", "01T02:00-0500", "01T03:00-0500"]),
    # The same with a field for the second.
    ("30 15 2 * * *", BERLIN, "2026-03-28 12:00", ["29T03:00+0200", "30T02:15+0200", "31T02:15+0200"]),
    ("30 15 2 * * *", BERLIN, "2026-10-25 00:00", ["25T02:15+0200", "26T02:15+0100", "27T02:15+0100"]),
    # Lines that follow the time that passes.
    ("*/30 * * * *", BERLIN, "2026-03-29 01:00", ["29T01:30+0100", "29T03:00+0200", "29T03:30+0200"]),
    ("*/30 * * * *", BERLIN, "2026-10-25 02:00", ["25T02:30+0200", "25T02:00+0100", "25T02:30+0100", "25T03:00+0100"]),
    ("@hourly", NEW_YORK, "2026-11-01 00:30", ["01T01:00-0400", "01T01:00-0500", "01T02:00-0500"]),
    ("@hourly", NEW_YORK, "2026-03-08 00:30", ["08T01:00-0500", "08T03:00-0400", "08T04:00-0400"]),
    # One of the two with a star is enough for that.
    ("*/20 2 * * *", BERLIN, "2026-03-28 02:20", ["28T02:40+0100", "30T02:00+0200"]),
    ("*/30 2 * * *", BERLIN, "2026-10-25 02:00", ["25T02:30+0200", "25T02:00+0100", "25T02:30+0100", "26T02:00+0100"]),
    # Half an hour is skipped or comes twice on Lord Howe Island: 4 October and 5 April 2026, at 2 o'clock.
    ("0 */6 * * *", LORD_HOWE, "2026-04-04 18:00", ["05T00:00+1100", "05T06:00+1030", "05T12:00+1030"]),
    ("0 */6 * * *", LORD_HOWE, "2026-10-03 18:00", ["04T00:00+1030", "04T06:00+1100", "04T12:00+1100"]),
    ("*/15 * * * *", LORD_HOWE, "2026-04-05 01:40", ["05T01:45+1100", "05T01:30+1030", "05T01:45+1030"]),
    ("*/15 * * * *", LORD_HOWE, "2026-10-04 01:40", ["04T01:45+1030", "04T02:30+1100", "04T02:45+1100"]),
    ("@hourly", LORD_HOWE, "2026-04-05 01:00", ["05T02:00+1030", "05T03:00+1030"]),
    ("@hourly", LORD_HOWE, "2026-10-04 01:00", ["04T03:00+1100", "04T04:00+1100"]),
    ("15 2 * * *", LORD_HOWE, "2026-10-03 12:00", ["04T02:30+1100", "05T02:15+1100"]),
    ("45 1 * * *", LORD_HOWE, "2026-04-04 12:00", ["05T01:45+1100", "06T01:45+1030"]),
    # Two hours at once: Troll, 29 March 2026.
    ("*/30 * * * *", TROLL, "2026-03-29 00:20", ["29T00:30+0000", "29T03:00+0200"]),
    ("0 0-4 * * *", TROLL, "2026-03-29 00:20", ["29T03:00+0200", "29T04:00+0200"]),
    # A gap at midnight: Havana, 8 March 2026.
    ("@daily", HAVANA, "2026-03-07 12:00", ["08T01:00-0400", "09T00:00-0400"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "zone", "start", "expected"), TABLE, ids=lambda value: str(value)[:30])
def test_the_table_of_times(text: str, zone: ZoneInfo, start: str, expected: list[str]) -> None:
    line = CronLine.read(text, zone)
    moment, shown = datetime.fromisoformat(start).replace(tzinfo=zone), list[str]()
    for _ in expected:
        moment = line.after(moment)
        shown.append(moment.strftime("%dT%H:%M%z"))
    assert shown == expected


@pytest.mark.parametrize("zone", [NEW_YORK, BERLIN])
@pytest.mark.parametrize(
    "text", ["30 2 * * *", "0,30 1-3 * * *", "*/20 * * * *", "0 30 2 * * *", "@hourly", "* 2 * * *"]
)
def test_from_any_moment_the_next_time_is_the_next_of_the_chain(text: str, zone: ZoneInfo) -> None:
    """Whenever a run ends: what it schedules is neither a time that was nor one beyond the next."""
    line = CronLine.read(text, zone)
    for day in (datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 3, 28, tzinfo=UTC),
                datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC)):  # fmt: skip
        end, moment = day + timedelta(days=3), day
        chain = [moment := line.after(moment).astimezone(UTC) for _ in range(400) if moment < end]
        assert chain == sorted(set(chain))
        for minute in range(0, 3 * 24 * 60, 17):
            at = day + timedelta(minutes=minute, microseconds=1)
            assert line.after(at).astimezone(UTC) == next(time for time in chain if time > at), at


def test_every_day_has_one_run_of_a_daily_line_for_four_years() -> None:
    line, moment, days = (
        CronLine.read("30 2 * * *", BERLIN),
        datetime(2026, 1, 1, tzinfo=BERLIN),
        list[object](),
    )
    while moment.year < 2030:
        moment = line.after(moment)
        days.append(moment.date())
    first = datetime(2026, 1, 1).date()
    assert days == [first + timedelta(days=number) for number in range(len(days))]


def test_the_first_time_of_an_hour_that_comes_twice_is_not_run_again_in_the_second() -> None:
    second_quarter_past_one = datetime(2026, 11, 1, 1, 15, tzinfo=NEW_YORK, fold=1)
    following = CronLine.read("30 1 * * *", NEW_YORK).after(second_quarter_past_one)
    assert following == datetime(2026, 11, 2, 1, 30, tzinfo=NEW_YORK)


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 */10 2 MON#5"])
def test_a_line_that_never_fires_is_refused(text: str) -> None:
    with pytest.raises(CronSimError, match="never fires") as raised:
        CronLine.read(text, UTC)
    assert isinstance(raised.value, UsageError)
    assert text in str(raised.value)


@pytest.mark.parametrize("text", ["0 0 1 1 *", "* * * * *"])
def test_there_is_no_time_after_the_last_of_the_calendar(text: str) -> None:
    with pytest.raises(CronSimError, match="does not fire in the 50 years after 9999-12-31"):
        CronLine.read(text, UTC).after(datetime(9999, 12, 31, 23, 59, tzinfo=UTC))


@pytest.mark.parametrize("text", ["", "bad", "* * * *", "61 * * * *", "@reboot", "* * * * * * *"])
def test_a_line_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(CronSimError, match="cannot be read"):
        CronLine.read(text, UTC)


@pytest.mark.parametrize("keyword", VIXIE_KEYWORDS)
def test_each_keyword_stands_for_its_line(keyword: str) -> None:
    assert CronLine.read(f" {keyword.upper()} ", UTC) == CronLine.read(VIXIE_KEYWORDS[keyword], UTC)
