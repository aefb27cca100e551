"""Single values as others may have written them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from docket.store.foreign import LARGEST, is_whole, moment, shown, text, text_or_none, whole


def test_only_the_beginning_of_a_long_value_is_shown() -> None:
    assert shown(b"x" * 40) == repr(b"x" * 40)
    assert shown(b"x" * 41) == repr(b"x" * 40) + "..."


def test_a_whole_number_has_at_most_fifteen_digits() -> None:
    assert whole(b"0") == 0
    assert whole(b"9" * 15) == LARGEST
    for raw in b"", b"-1", b"+1", b"1.5", b" 1", b"1" * 16, b"\xff":
        assert not is_whole(raw)
        with pytest.raises(ValueError, match="is no whole number of at most fifteen digits"):
            whole(raw)


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (b"2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        (b"9998-12-31T23:59:59-12:00", datetime(9999, 1, 1, 11, 59, 59, tzinfo=UTC)),
        (b"9999-12-31T23:59:59-12:00", datetime.max.replace(tzinfo=UTC)),
        (b"0001-01-01T00:00:00+12:00", datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_a_moment_beyond_the_calendar_of_utc_is_the_nearest(raw: bytes, read: datetime) -> None:
    assert moment(raw) == read


def test_a_moment_keeps_its_own_offset() -> None:
    assert moment(b"2026-01-01T00:00:00+02:00").utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize("raw", [b"", b"soon", b"\xff", b"2026-01-01T00:00:00"])
def test_what_is_no_moment_with_a_time_zone_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        moment(raw)


def test_text_that_is_no_utf_8_is_escaped() -> None:
    assert text("ü".encode() + b"\xff") == "ü\\xff"
    assert text_or_none(b"\xff") == "\\xff"
    assert text_or_none(None) is None
