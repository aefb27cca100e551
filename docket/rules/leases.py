"""Leases: how often a worker renews one, and for how long it trusts one that it cannot renew."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["LEASE_RENEWAL_FACTOR", "lease_trusted_until", "renewal_interval"]

#: How many times a worker renews a lease, and the slots held with it, before the lease would end.
LEASE_RENEWAL_FACTOR = 4

#: The part of a lease for which a worker trusts it. The rest is a margin for clocks and for bodies that are being
#: stopped.
TRUSTED_PART = 0.9


def renewal_interval(timeout: timedelta) -> timedelta:
    """The time from one renewal to the next, for leases that last ``timeout``."""
    return timeout / LEASE_RENEWAL_FACTOR


def lease_trusted_until(renewed: float, timeout: timedelta) -> float:
    """Until when a lease counts as ours whose last successful renewal began at ``renewed`` (both are loop times)."""
    return renewed + timeout.total_seconds() * TRUSTED_PART
