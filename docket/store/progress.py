"""What running tasks report about how far they are. Each report is one script: one round trip."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import cast

import attrs

from ..standins import redis_errors
from ..transport import Client
from ..values import define, frozen
from . import script_calls
from .answers import answers
from .codec import encode_json_string
from .fence import NO_FENCE, Fence
from .keys import Keys
from .records import ProgressRecord, read_mapping
from .schedule import time_to_live

__all__ = ["ProgressReports", "Report"]


@frozen(kw_only=True)
class Report:
    """What is reported of a run's progress from now on.

    ``amount`` is added to what is done. Reports with a fence are numbered, from 1: each repeats what was not
    acknowledged yet, so that a report that is lost, late or sent again counts once. For that ``before`` is the sum of
    the amounts that were acknowledged, ``after`` the sum of all, ``amount`` the difference.
    """

    at: datetime
    amount: int = 0
    number: int = 0
    before: int = 0
    after: int = 0
    said: Mapping[str, str | int | None] = attrs.field(factory=dict[str, "str | int | None"])
    """``total`` and ``message``; a message that is None is taken back."""


@define(eq=False)
class ProgressReports:
    """Reads and writes of progress on one docket. ``ttl`` is how long reports are kept that no run owns.

    Raises: redis.exceptions.RedisError.
    """

    client: Client
    keys: Keys
    ttl: timedelta | None

    async def read(self, key: str) -> ProgressRecord:
        """What was last reported."""
        progress, state = answers(
            await self.client.call_many(
                [("HGETALL", self.keys.progress(key)), ("HGET", self.keys.run(key), "state")]
            )
        )
        if isinstance(progress, redis_errors.RedisError):
            raise progress
        return ProgressRecord.of(read_mapping(progress), runs=state == b"running")

    async def write(self, key: str, report: Report, fence: Fence | None) -> ProgressRecord | None:
        """Write a report; return what is known from then on.

        None where nothing was written: the run has ended, or the fence no longer owns it. Without a fence the writer
        writes for whatever runs under the key.
        """
        changes: list[str | int] = []
        for field, value in report.said.items():
            changes += (f"no {field}", "") if value is None else (field, value)
        call = script_calls.progress(
            self.keys,
            key=key,
            fence=fence or NO_FENCE,
            key_json=encode_json_string(key),
            at=report.at.isoformat(),
            ttl_ms=time_to_live(self.ttl),
            number=report.number,
            amount=report.amount,
            before=report.before,
            after=report.after,
            changes=changes,
        )
        reply = await self.client.run(*call)
        if reply is None:
            return None
        current, total, message = cast("list[bytes | None]", reply)
        return ProgressRecord.read(current, total, message, report.at)
