"""The durations and moments that docket accepts, and how it reads times that others wrote.

One rule for every setting and argument: a duration is a timedelta from zero, or above zero where zero makes no sense,
to `LONGEST`, so that neither a sum with the present nor the server's integers nor the doubles of its scripts can
overflow; a moment is a datetime with a time zone that has a date in UTC, too. Others are refused at once.
Times that were computed, or written by others, are moved into the range instead.
"""

from __future__ import annotations

import functools
import math
import re
from datetime import UTC, datetime, timedelta
from types import EllipsisType
from typing import Any, TypeAlias

from .errors import BadSetting, UsageError
from .text import text_of

__all__ = [
    "DEFAULT_TTL",
    "FIRST",
    "LAST",
    "LAST_EPOCH",
    "LONGEST",
    "SINCE",
    "Expires",
    "TimeToLive",
    "check_duration",
    "check_expires",
    "check_moment",
    "check_setting",
    "check_ttl",
    "clamped",
    "iso_text",
    "moved",
    "read_epoch",
    "read_moment",
    "read_seconds",
    "read_since",
]

ZERO = timedelta(0)

LONGEST = timedelta(days=36_525)
"""A hundred years: the longest duration that is accepted."""

TimeToLive: TypeAlias = timedelta | EllipsisType | None
"""How long the record of one task is kept: zero is not at all, None for ever, ``...`` as its docket says."""

Expires: TypeAlias = timedelta | datetime | None
"""By when a call is to have begun: a moment, or how long after it is due; None for any time."""

DEFAULT_TTL = timedelta(minutes=15)
"""How long records and results are kept where nobody says anything. Any other object was given by a program."""

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
"""The first and the last moment that a datetime can hold."""

#: In seconds of the epoch: doubles, which are 30 microseconds apart there.
FIRST_EPOCH, LAST_EPOCH = FIRST.timestamp(), math.nextafter(LAST.timestamp(), 0)


def check_duration(name: str, given: Any, *, positive: bool = False) -> timedelta:
    """Return ``given`` if it is a duration from zero, or above zero if it must be ``positive``, up to `LONGEST`.

    Raises: TypeError - it is no timedelta; UsageError (a ValueError) - it is out of that range.
    """
    if not isinstance(given, timedelta):
        raise TypeError(f"{name} takes a timedelta, not {type(given).__name__}: {text_of(given, repr)}")
    if given < ZERO or (positive and not given):
        raise UsageError(f"{name} takes a duration {'above' if positive else 'from'} zero, not {given}")
    if given > LONGEST:
        raise UsageError(f"{name} takes a duration up to {LONGEST.days} days (100 years), not {given}")
    return given


def check_setting(name: str, given: Any, *, positive: bool = False) -> timedelta:
    """As `check_duration`, for a setting. Raises: BadSetting (a ValueError)."""
    try:
        return check_duration(name, given, positive=positive)
    except (TypeError, UsageError) as error:
        raise BadSetting(str(error)) from None


def check_ttl(given: Any) -> TimeToLive:
    """Return ``given`` if it is a `TimeToLive`. Raises: as `check_duration`."""
    return given if given is None or given is ... else check_duration("ttl", given)


def check_expires(given: Any, when: datetime | None) -> timedelta | datetime | None:
    """Return when a call expires that is due at ``when``: a moment, or how long after it was placed.

    A duration counts from ``when``, where that is given; one that is over already does no harm.
    Raises: TypeError - it is neither; UsageError (a ValueError) - a moment without a time zone, or out of range.
    """
    if given is None or isinstance(given, datetime):
        return None if given is None else check_moment("expires", given)
    if not isinstance(given, timedelta):
        raise TypeError(
            f"expires takes a timedelta or an aware datetime, not {type(given).__name__}: {text_of(given, repr)}"
        )
    return given if when is None else moved(when, given)


def check_moment(name: str, given: Any) -> datetime:
    """Return ``given`` if it is a datetime with a time zone, from `FIRST` to `LAST`.

    Raises: TypeError - it is no datetime; UsageError (a ValueError) - it has no time zone, or is out of range.
    """
    if type(given) is datetime and given.tzinfo is UTC and 1 < given.year < 9999:  # most are
        return given
    if not isinstance(given, datetime):
        raise TypeError(
            f"{name}= takes an aware datetime, not {type(given).__name__}: {text_of(given, repr)}"
        )
    if given.tzinfo is None or given.utcoffset() is None:
        raise UsageError(
            f"{name}={given.isoformat()} has no time zone; use datetime.now(timezone.utc) or .astimezone(), "
            "not a naive datetime"
        )
    if not _has_utc(given):
        raise UsageError(
            f"{name}={given.isoformat()} has no date in UTC; it takes a moment from {FIRST.isoformat()} "
            f"to {LAST.isoformat()}"
        )
    return given


def _has_utc(moment: datetime) -> bool:
    if 1 < moment.year < 9999:
        return True
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True


@functools.lru_cache(maxsize=16)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


def iso_text(moment: datetime) -> str:
    """``moment.isoformat()``, at a fraction of its cost where there was a moment in the same second just before."""
    if moment.tzinfo is not UTC or not 1970 <= moment.year < 2100 or type(moment) is not datetime:
        return moment.isoformat()
    # The timestamp is a double, and in these years exact to less than a microsecond.
    text = _to_the_second(int(moment.timestamp()))
    micros = moment.microsecond
    return f"{text}.{micros:06}+00:00" if micros else f"{text}+00:00"


def clamped(duration: timedelta) -> timedelta:
    """The nearest duration from zero to `LONGEST`."""
    return min(max(duration, ZERO), LONGEST)


def moved(moment: datetime, by: timedelta) -> datetime:
    """``moment + by``; beyond the range the last moment, or the first one."""
    try:
        there = moment + by
    except OverflowError:
        there = None
    if there is not None and _has_utc(there):
        return there
    return LAST if by > ZERO else FIRST


def read_moment(text: object) -> datetime | None:
    """Read a moment of others, in ISO 8601; without a time zone it is UTC, out of range the nearest moment.

    None if it is no such text.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    if _has_utc(moment):
        return moment
    return LAST if moment.year > 1 else FIRST


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "ms": 0.001}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


def read_seconds(text: str) -> float:
    """``123``, ``123s``, ``123m``, ``123h``, ``7d``, ``250ms``, ``mm:ss`` or ``hh:mm:ss``, in seconds.

    Raises: ValueError - anything else.
    """
    text = text.strip()
    if match := _NUMBER.fullmatch(text):
        return float(match[1]) * _UNITS[match[2]]
    if match := _CLOCK.fullmatch(text):
        return int(match[1] or 0) * 3600 + int(match[2]) * 60 + float(match[3])
    raise ValueError(text)


SINCE = "how long ago, like 90s, 1h or 7d, or a moment like 2026-11-28T12:00:00+00:00"
"""What `read_since` takes."""


def read_since(text: str, now: datetime) -> datetime:
    """Read what somebody has typed: how long before ``now``, or a moment in ISO 8601 with a time zone.

    Raises: ValueError - it is neither.
    """
    try:
        seconds = read_seconds(text)
    except ValueError:
        return check_moment("it", datetime.fromisoformat(text.strip()))
    try:
        return moved(now, -timedelta(seconds=seconds))
    except OverflowError:
        raise ValueError(text) from None


def read_epoch(seconds: bytes | str | float | None) -> datetime | None:
    """Read a moment of others, in seconds since the epoch; out of range the nearest moment.

    None if it is no number.
    """
    try:
        number = math.nan if seconds is None else float(seconds)
    except ValueError:
        return None
    if math.isnan(number):
        return None
    if number > LAST_EPOCH:
        return LAST
    return FIRST if number <= FIRST_EPOCH else datetime.fromtimestamp(number, UTC)
