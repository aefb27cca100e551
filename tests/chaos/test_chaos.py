"""The chaos session: nothing lost, nothing twice without a reason, nothing left behind, whatever is done to it.

The short one is a part of the suite. The long one is ``nox -s chaos``, or ``pytest -m chaos tests/chaos``. Environment:
``DOCKET_CHAOS_MINUTES`` (default 30), ``DOCKET_CHAOS_SEED`` (default: drawn, and printed).
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.chaos.failover import Failovers, WatchedRig
from tests.chaos.plan import FAILOVERS, WORKERS
from tests.chaos.session import Settings, run


def seed() -> int:
    """A seed of one's own makes the same torment again; what the processes make of it depends on the machine."""
    given = os.environ.get("DOCKET_CHAOS_SEED")
    return int(given) if given else random.SystemRandom().randrange(10**6)


def minutes() -> float:
    return float(os.environ.get("DOCKET_CHAOS_MINUTES", "30"))


def failovers(seed: int, seconds: float) -> Settings:
    return Settings(
        seed=seed,
        seconds=seconds,
        calm=2.0,
        patience=120,
        tracks=(WORKERS, FAILOVERS),
        rig=WatchedRig,
        tormentor=Failovers,
        forgetful=frozenset(FAILOVERS),
    )


def test_a_short_chaos_session_ends_with_clean_books(tmp_path: Path) -> None:
    """One round of every fault."""
    report = run(Settings(seed=seed(), seconds=0), tmp_path)
    assert not report.violations, str(report)


@pytest.mark.chaos
def test_a_chaos_session_of_failovers_ends_with_clean_books(tmp_path: Path) -> None:
    """A master and its replica behind sentinels; a tenth of the time of the long session."""
    report = run(failovers(seed(), 6 * minutes()), tmp_path)
    print(report)
    assert not report.violations, str(report)


@pytest.mark.chaos
def test_a_long_chaos_session_ends_with_clean_books(tmp_path: Path) -> None:
    report = run(Settings(seed=seed(), seconds=60 * minutes(), calm=2.0, patience=180, pause=0.3), tmp_path)
    print(report)
    assert not report.violations, str(report)
