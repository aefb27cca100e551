"""Numbers, durations and moments for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from .markup import Safe, el, join

__all__ = ["ago", "coming", "count", "moment", "plural", "short", "since", "stamp"]

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def count(number: int) -> str:
    """``1,204,331``."""
    return f"{number:,}"


def plural(number: int, one: str, many: str = "") -> str:
    """``1 task``, ``1,204 tasks``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def short(length: timedelta) -> str:
    """A duration in its one or two largest units: ``350 ms``, ``4.6 s``, ``12 min``, ``3 h 20 min``, ``12 d 4 h``."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for at, (unit, size) in enumerate(_UNITS):
        if whole >= size:
            number, rest = divmod(whole, size)
            if at + 1 == len(_UNITS) or number >= 20:
                return f"{number} {unit}"
            smaller, its = _UNITS[at + 1]
            return f"{number} {unit} {rest // its} {smaller}" if rest // its else f"{number} {unit}"
    return "0 s"


def stamp(when: datetime) -> str:
    """``2026-11-28 18:20:31 UTC``."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def ago(when: datetime, now: datetime) -> str:
    """``in 3 min``, ``12 s ago``, ``now``."""
    apart = when - now
    if abs(apart) < timedelta(seconds=1):
        return "now"
    return f"in {short(apart)}" if apart > timedelta(0) else f"{short(-apart)} ago"


def moment(when: datetime | None, now: datetime) -> Safe | str:
    """`ago`, with the whole date for those who point at it."""
    if when is None:
        return ""
    return el("time", ago(when, now), datetime=when.astimezone(UTC).isoformat(), title=stamp(when))


def coming(when: datetime, now: datetime) -> Safe | str:
    """The moment at which something begins; what should have begun just now does so ``now``."""
    return moment(when, min(when, now))


def since(when: datetime | None, now: datetime) -> Safe | None:
    """`` since 12 s ago``, `` just now``; to stand behind a word."""
    if when is None:
        return None
    return join(" just " if ago(when, now) == "now" else " since ", moment(when, now))
