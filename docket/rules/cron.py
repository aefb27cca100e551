"""When a line of cron fires, in the wall time of a zone. Pure: the caller supplies the time."""

from __future__ import annotations

import bisect
import itertools
import math
from datetime import UTC, datetime, timedelta, tzinfo

import attrs
from cronsim import CronSim, CronSimError

from ..errors import UsageError
from ..values import frozen

__all__ = ["VIXIE_KEYWORDS", "BadCronLine", "CronLine"]

VIXIE_KEYWORDS: dict[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""Keywords in place of a line. Source: crontab(5) of Vixie cron; ``@reboot`` has no meaning here."""

MINUTE, DAY, SECOND = timedelta(minutes=1), timedelta(days=1), timedelta(seconds=1)
INSTANT = timedelta(microseconds=1)

#: From here on we try whether a line ever fires. The 29 February falls on every weekday in the years after it.
_TRIAL = datetime(2000, 1, 1)


class BadCronLine(UsageError, CronSimError):
    """A line of cron that cannot be read, or that never fires."""


@frozen
class CronLine:
    """A line of five fields (minute, hour, day, month, weekday), or of six with the second before them.

    A line that names its minutes and hours fires at these times of the local clock: a time that the change to summer
    time skips fires at the end of the gap (once, even for several times), a time that comes twice in autumn fires the
    first time. A line whose minute or hour begins with ``*`` fires whenever the clock shows one of its times: twice in
    an hour that comes twice, and not in one that is skipped. Source: cron(8) of Debian.
    """

    expression: str
    zone: tzinfo
    _at_times: bool = attrs.field(repr=False)

    @classmethod
    def read(cls, text: str, zone: tzinfo) -> CronLine:
        """Read a line or a keyword.

        Raises: BadCronLine (a UsageError and a CronSimError).
        """
        expression = VIXIE_KEYWORDS.get(text.strip().lower(), text)
        fields = expression.split()
        try:
            next(CronSim(expression, _TRIAL))
        except CronSimError as error:
            keywords = ", ".join(VIXIE_KEYWORDS)
            raise BadCronLine(
                f"cron line {text!r} cannot be read, or never fires: {error}; it takes five fields (minute, hour, "
                f"day, month, weekday), six with the second first, or one of {keywords}"
            ) from None
        except StopIteration:
            raise BadCronLine(f"cron line {text!r} never fires: no day is like that") from None
        minute, hour = fields[-5], fields[-4]
        return cls(expression, zone, not (minute.startswith("*") or hour.startswith("*")))

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment at which this fires, in its own zone.

        Raises: BadCronLine - there is none within 50 years.
        """
        try:
            # In UTC: moments of one zone are compared by their wall time, which comes twice in autumn.
            begun = moment.astimezone(UTC)
            if not self._at_times:
                return self._shown_after(begun).astimezone(self.zone)
            for found in CronSim(self.expression, self._wall(begun)):
                if (when := self._moment_of(found)) > begun:
                    return when.astimezone(self.zone)
        except (OverflowError, ValueError):  # beyond the end of the calendar
            pass
        raise BadCronLine(f"cron line {self.expression!r} does not fire in the 50 years after {moment}")

    def bound(self, since: datetime, until: datetime, most: int) -> datetime | None:
        """The time from which on it fires about ``most`` times until then; None if it does not more often ``since``.

        It counts times of the wall clock: where a change of the clocks lies in between, it is off by those that come
        twice or not at all.
        """
        end = self._wall(until)
        line = itertools.islice(CronSim(self.expression, self._wall(since)), most + 1)
        if sum(1 for _ in itertools.takewhile(lambda found: found <= end, line)) <= most:
            return None
        line = CronSim(self.expression, end.replace(microsecond=0) + SECOND, reverse=True)
        backwards = itertools.islice(line, most - 1, None)
        return self._moment_of(next(backwards)).astimezone(self.zone)

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)

    def _shown_after(self, begun: datetime) -> datetime:
        """The first moment after ``begun`` at which the clock shows a time of the line, in UTC.

        For as long as the clock runs on, that is the next time of the line; at a change of the clocks it begins anew
        with what the clock shows then.
        """
        while True:
            wall = self._wall(begun)
            offset = wall - begun.replace(tzinfo=None)
            when = (self._next(wall) - offset).replace(tzinfo=UTC)
            change = self._change_between(begun, when, offset)
            if change is None:
                return when
            # What the clock shows in the instant of the change may be a time of the line.
            shown = self._wall(change)
            if self._next(shown - INSTANT) == shown:
                return change
            begun = change

    def _next(self, wall: datetime) -> datetime:
        for found in CronSim(self.expression, wall):
            return found
        raise ValueError  # none in 50 years

    def _change_between(self, begun: datetime, end: datetime, offset: timedelta) -> datetime | None:
        """The first moment up to ``end`` at which the clock has another ``offset`` from UTC than at ``begun``."""

        def has_changed(at: datetime) -> bool:
            return self._wall(at) - at.replace(tzinfo=None) != offset

        before = begun
        while before < end:
            after = min(before + DAY, end)
            if has_changed(after):
                seconds = math.ceil((after - before) / SECOND)
                early = bisect.bisect_left(range(seconds), 1, key=lambda n: has_changed(before + n * SECOND))
                return (before + early * SECOND).replace(microsecond=0)
            before = after
        return None

    def _moment_of(self, wall: datetime) -> datetime:
        """The moment, in UTC, at which the zone's clock first shows this time or a later one."""
        while True:
            when = wall.replace(tzinfo=self.zone).astimezone(UTC)
            if when.astimezone(self.zone).replace(tzinfo=None) == wall:
                return when
            wall += MINUTE  # it is in a gap; none of them ends within a minute
