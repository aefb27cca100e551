"""What durations and moments are taken, and how others' times are read: one rule for all."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docket.errors import BadSetting, UsageError
from docket.moments import (
    FIRST,
    LAST,
    LONGEST,
    check_duration,
    check_moment,
    check_setting,
    clamped,
    iso_text,
    moved,
    read_epoch,
    read_moment,
)

EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize("given", [timedelta(0), MICROSECOND, LONGEST], ids=str)
def test_durations_from_zero_to_the_longest_are_taken(given: timedelta) -> None:
    assert check_duration("x", given) is given


@pytest.mark.parametrize(
    "given", [-MICROSECOND, LONGEST + MICROSECOND, timedelta.min, timedelta.max], ids=str
)
def test_a_duration_out_of_range_is_refused_with_its_name_and_value(given: timedelta) -> None:
    for refusing, error in ((check_duration, UsageError), (check_setting, BadSetting)):
        with pytest.raises(error, match="x takes a duration") as raised:
            refusing("x", given)
        assert str(given) in str(raised.value)


def test_zero_is_refused_where_it_makes_no_sense() -> None:
    with pytest.raises(UsageError, match="x takes a duration above zero, not 0:00:00"):
        check_duration("x", timedelta(0), positive=True)


@pytest.mark.parametrize("given", [None, 5, 5.0, math.nan, "5", datetime.max], ids=repr)
def test_what_is_no_duration_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="x takes a timedelta, not"):
        check_duration("x", given)
    with pytest.raises(BadSetting, match="x takes a timedelta, not"):
        check_setting("x", given)


EXTREMES = [
    FIRST,
    LAST,
    datetime.max.replace(tzinfo=EAST),
    datetime.min.replace(tzinfo=WEST),
    datetime(2026, 1, 1, tzinfo=EAST),
]


@pytest.mark.parametrize("moment", EXTREMES, ids=str)
def test_moments_that_utc_has_a_date_for_are_taken(moment: datetime) -> None:
    assert check_moment("when", moment) is moment
    assert read_moment(moment.isoformat()) == moment
    assert read_moment(moment.isoformat().encode()) == moment


@pytest.mark.parametrize(
    "moment", [datetime.max.replace(tzinfo=WEST), datetime.min.replace(tzinfo=EAST)], ids=str
)
def test_a_moment_beyond_utc_is_refused_and_read_as_the_nearest(moment: datetime) -> None:
    with pytest.raises(UsageError, match="has no date in UTC"):
        check_moment("when", moment)
    assert read_moment(moment.isoformat()) == (LAST if moment.year == 9999 else FIRST)


@pytest.mark.parametrize(
    "text", [None, b"", b"\xff", "soon", "\ud800", 5, [], "2026-13-01", "9" * 5000], ids=repr
)
def test_what_is_no_time_is_read_as_none(text: Any) -> None:
    assert read_moment(text) is None


def test_a_time_without_a_zone_is_read_as_utc() -> None:
    assert read_moment("2026-01-01T00:00:00") == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"0", datetime(1970, 1, 1, tzinfo=UTC)),
        (b"1795204147.4255469", datetime(2026, 11, 20, 19, 49, 7, 425547, tzinfo=UTC)),
        *[(text, LAST) for text in (b"inf", b"1e300", b"253402300800", 1e18, math.inf)],
        *[(text, FIRST) for text in (b"-inf", b"-1e300", b"-62135596800", -math.inf)],
        *[(text, None) for text in (b"nan", b"", b"soon", b"\xff", None, math.nan, "0x10")],
    ],
    ids=repr,
)
def test_seconds_of_the_epoch_are_read_whatever_they_are(text: Any, read: datetime | None) -> None:
    assert read_epoch(text) == read


def test_every_double_around_the_ends_of_time_is_read() -> None:
    for end in LAST.timestamp(), FIRST.timestamp():
        seconds = end
        for _ in range(200):
            seconds = math.nextafter(seconds, -math.inf)
        for _ in range(400):
            assert read_epoch(seconds) is not None
            seconds = math.nextafter(seconds, math.inf)


def test_what_is_computed_stays_in_the_range() -> None:
    assert clamped(timedelta.max) == LONGEST
    assert clamped(timedelta.min) == timedelta(0)
    assert moved(LAST, LONGEST) == moved(datetime(2026, 1, 1, tzinfo=UTC), timedelta.max) == LAST
    assert moved(datetime.max.replace(tzinfo=EAST), timedelta(hours=1)) == LAST
    assert moved(FIRST, -MICROSECOND) == FIRST
    assert moved(datetime(9999, 12, 31, 11, tzinfo=WEST), timedelta(hours=12)) == LAST


ALMOST_A_DAY = timedelta(hours=23, minutes=59)
ZONES = st.timedeltas(-ALMOST_A_DAY, ALMOST_A_DAY).map(timezone)
AWARE = st.builds(lambda moment, zone: moment.replace(tzinfo=zone), st.datetimes(), ZONES)
WRITTEN = (st.datetimes() | AWARE).map(datetime.isoformat) | st.floats().map(repr) | st.text() | st.binary()


@settings(deadline=None)
@given(WRITTEN)
def test_whatever_is_read_can_be_reckoned_with(text: str | bytes) -> None:
    for moment in read_moment(text), read_epoch(text):
        if moment is not None:
            assert FIRST <= moment.astimezone(UTC) <= LAST
            assert check_moment("when", moment) is moment
            assert FIRST <= moved(moment, LONGEST) <= LAST


@settings(deadline=None)
@given(AWARE, st.timedeltas())
def test_whatever_is_added_is_a_moment(moment: datetime, by: timedelta) -> None:
    assert check_moment("when", moved(moment, by))


ZONES = st.sampled_from([UTC, EAST, timezone(timedelta(microseconds=1)), timezone(timedelta(0), "Z")])


@given(
    st.datetimes(timezones=ZONES)
    | st.datetimes(datetime(1969, 12, 31), datetime(1970, 1, 2), timezones=ZONES)
    | st.builds(datetime.fromtimestamp, st.integers(0, 2**32 - 1), st.just(UTC)).flatmap(
        lambda moment: st.sampled_from([moment, moment + MICROSECOND, moment - MICROSECOND])
    )
)
def test_a_moment_as_text_is_its_isoformat(moment: datetime) -> None:
    assert iso_text(moment) == moment.isoformat()
