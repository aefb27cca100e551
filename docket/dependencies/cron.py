"""Tasks that run at times of the wall clock."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any, Self

from .. import clock
from ..moments import LONGEST, moved
from ..rules import VIXIE_KEYWORDS, CronLine
from ..values import define
from .admission import AdmissionBlocked
from .perpetual import MOST_MISSED, Missed, Perpetual

__all__ = ["VIXIE_KEYWORDS", "Cron"]

logger = logging.getLogger("docket.dependencies")

SECOND, MINUTE, INSTANT = timedelta(seconds=1), timedelta(minutes=1), timedelta(microseconds=1)
UTC = timezone.utc  # noqa: UP017 - its repr is what the signature shows


class Cron(Perpetual):
    """Run the task at the times of a line of cron, in the time zone ``tz``; no two runs for one of them.

    ``expression`` has five fields (minute, hour, day, month, weekday), six with the second before them, or is one of
    `VIXIE_KEYWORDS` (``"@daily"``). `CronLine` defines what a change of the clocks does. ``automatic`` and the methods
    for the task are those of `Perpetual`, but ``every`` has no meaning; `after` and `at` replace the next time of the
    line once.

    ``missed`` says what becomes of times that pass during a run, or while there is no worker: one run makes up for all
    of them, as soon as it can ("once"); each has its run, one after the other and with its time as ``execution.when``,
    but not more than the last thousand ("all"); or none has, nor has the time of a run that could not begin before the
    next one ("skip").

    Raises: CronSimError (also a ValueError) - the expression cannot be read, or never fires; TypeError - ``tz`` is no
    tzinfo; UsageError (a ValueError) - ``missed`` is none of the three.
    """

    __module__ = "docket.dependencies"  # an argument of this class travels under the name that pydocket has for it, too

    expression: str
    tz: tzinfo

    def __init__(
        self, expression: str, automatic: bool = True, tz: tzinfo = UTC, *, missed: Missed = "once"
    ) -> None:
        super().__init__(timedelta(0), automatic, missed=missed)
        if not isinstance(expression, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"Cron takes a line of cron as text, not {type(expression).__name__}: {expression!r}"
            )
        if not isinstance(tz, tzinfo):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"tz takes a tzinfo, such as zoneinfo.ZoneInfo('Europe/Berlin'), not {tz!r}")
        self._line = CronLine.read(expression, tz)
        self.expression, self.tz = self._line.expression, tz
        self._bound = _Bound()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_line" not in state:
            self._line, self._bound = CronLine.read(self.expression, self.tz), _Bound()

    async def __aenter__(self) -> Self:
        execution = self.execution.get()
        if self.missed == "skip" and self._is_over(execution):
            raise AdmissionBlocked(execution, "a later time of its line", reschedule=False)
        return await super().__aenter__()

    def next_time(self) -> datetime:
        """The next time of the line: after now, and in a run also after the time of this run."""
        now = clock.now()
        return self._line.after(self._at_least(now, now))

    def _at_least(self, moment: datetime, now: datetime) -> datetime:
        """``moment``, or the time of this run if that is later: a worker whose clock is behind would find it again."""
        execution = self.execution.get(None)
        return moment if execution is None else min(max(moment, execution.when), moved(now, LONGEST))

    @property
    def initial_when(self) -> datetime | None:
        """The next time of the line."""
        return self._line.after(clock.now())

    def _regularly(self, now: datetime, duration: timedelta) -> datetime:
        if self.missed == "once":
            execution = self.execution.get(None)
            began = moved(now, -duration) if execution is None else execution.started_at or now
            return self._line.after(self._at_least(min(began, now), now))
        if self.missed == "skip" or (due := self._due()) is None:
            return self._line.after(self._at_least(now, now))
        when = self._line.after(min(due, moved(now, LONGEST)))
        if when < now and (bound := self._bound.of(self._line, when, now)) is not None and when < bound:
            logger.warning(
                "Cron(%r, missed='all') makes up for the last %d of its times only: those before %s are left out",
                self.expression, MOST_MISSED, bound.isoformat(),
            )  # fmt: skip
            return bound
        return when

    def _is_over(self, execution: Any) -> bool:
        """Whether it is the run of a time of the line after which another one has passed before it could begin."""
        when = execution.when
        if execution.attempt > 1 or execution.redelivered or clock.now() - when < SECOND:
            return False
        return self._line.after(when) <= clock.now() and self._line.after(when - INSTANT) == when


@define(eq=False)
class _Bound:
    """From when on missed times are made up for. Counting them takes a while, so it holds for a minute."""

    _counted_at: datetime | None = None
    _bound: datetime | None = None

    def of(self, line: CronLine, since: datetime, now: datetime) -> datetime | None:
        if self._counted_at is None or not timedelta(0) <= now - self._counted_at < MINUTE:
            self._counted_at, self._bound = now, line.bound(since, now, MOST_MISSED)
        return self._bound
