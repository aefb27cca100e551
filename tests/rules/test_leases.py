"""A lease that cannot be renewed is tried several times before a worker stops trusting it."""

from __future__ import annotations

from datetime import timedelta

from docket.rules import lease_trusted_until, renewal_interval

TIMEOUT = timedelta(seconds=20)


def test_a_lease_is_renewed_several_times_while_it_is_trusted() -> None:
    assert renewal_interval(TIMEOUT) == timedelta(seconds=5)
    assert 100.0 + 3 * renewal_interval(TIMEOUT).total_seconds() < lease_trusted_until(100.0, TIMEOUT)


def test_a_lease_is_not_trusted_to_its_very_end() -> None:
    assert lease_trusted_until(100.0, TIMEOUT) == 118.0
