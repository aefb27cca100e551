"""Tasks that run at times of the wall clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from .. import clock
from ..moments import LONGEST, moved
from ..rules import VIXIE_KEYWORDS, CronLine
from .perpetual import Perpetual

__all__ = ["VIXIE_KEYWORDS", "Cron"]

UTC = timezone.utc  # noqa: UP017 - its repr is what the signature shows


class Cron(Perpetual):
    """Run the task at the times of a line of cron, in the time zone ``tz``; no two runs for one of them.

    ``expression`` has five fields (minute, hour, day, month, weekday), six with the second before them, or is one of
    `VIXIE_KEYWORDS` (``"@daily"``). Times that pass during a run, or while there is no worker, are skipped. `CronLine`
    defines what a change of the clocks does. ``automatic`` and the methods for the task are those of `Perpetual`, but
    ``every`` has no meaning; `after` and `at` replace the next time of the line once.

    Raises: CronSimError (also a ValueError) - the expression cannot be read, or never fires; TypeError - ``tz`` is no
    tzinfo.
    """

    expression: str
    tz: tzinfo

    def __init__(self, expression: str, automatic: bool = True, tz: tzinfo = UTC) -> None:
        super().__init__(timedelta(0), automatic)
        if not isinstance(expression, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"Cron takes a line of cron as text, not {type(expression).__name__}: {expression!r}"
            )
        if not isinstance(tz, tzinfo):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"tz takes a tzinfo, such as zoneinfo.ZoneInfo('Europe/Berlin'), not {tz!r}")
        self._line = CronLine.read(expression, tz)
        self.expression, self.tz = self._line.expression, tz

    def next_time(self) -> datetime:
        """The next time of the line: after now, and in a run also after the time of this run."""
        now = clock.now()
        execution = self.execution.get(None)
        # A worker whose clock is behind would find the same time again.
        return self._line.after(
            now if execution is None else min(max(now, execution.when), moved(now, LONGEST))
        )

    @property
    def initial_when(self) -> datetime | None:
        """The next time of the line."""
        return self._line.after(clock.now())

    def _regularly(self, now: datetime, duration: timedelta) -> datetime:
        return self.next_time()
