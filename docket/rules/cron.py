"""When a line of cron fires, in the wall time of a zone. Pure: the caller supplies the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import attrs
from cronsim import CronSim, CronSimError

from ..errors import UsageError

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

MINUTE = timedelta(minutes=1)

#: From here on we try whether a line ever fires. The 29 February falls on every weekday in the years after it.
_TRIAL = datetime(2000, 1, 1)


class BadCronLine(UsageError, CronSimError):
    """A line of cron that cannot be read, or that never fires."""


@attrs.frozen
class CronLine:
    """A line of five fields (minute, hour, day, month, weekday), or of six with the second before them.

    A line that names its minutes and hours fires at these times of the local clock: a time that the change to summer
    time skips fires at the end of the gap (once, even for several times), a time that comes twice in autumn fires the
    first time. A line whose minute or hour begins with ``*`` follows elapsed time: it fires in both hours that have
    the same name, and not in the one that is skipped. Source: cron(8) of Debian.
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
            local = moment.astimezone(self.zone)
            # In UTC: moments of one zone are compared by their wall time, which comes twice in autumn.
            begun = moment.astimezone(UTC)
            for found in CronSim(self.expression, local.replace(tzinfo=None) if self._at_times else local):
                when = self._moment_of(found) if self._at_times else found.astimezone(UTC)
                if when > begun:
                    return when.astimezone(self.zone)
        except (OverflowError, ValueError):  # beyond the end of the calendar
            pass
        raise BadCronLine(f"cron line {self.expression!r} does not fire in the 50 years after {moment}")

    def _moment_of(self, wall: datetime) -> datetime:
        """The moment, in UTC, at which the zone's clock first shows this time or a later one."""
        while True:
            when = wall.replace(tzinfo=self.zone).astimezone(UTC)
            if when.astimezone(self.zone).replace(tzinfo=None) == wall:
                return when
            wall += MINUTE  # it is in a gap; none of them ends within a minute
