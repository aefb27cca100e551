"""Whether a failed attempt is repeated, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from docket.rules import RetryPolicy
from tests.durations import s

NOW = datetime(2026, 1, 1, tzinfo=UTC)


DOUBLING = RetryPolicy(delay=s(2), maximum_delay=s(32))

DELAYS: list[tuple[RetryPolicy, int, timedelta]] = [
    (RetryPolicy(), 1, s(0)),
    (RetryPolicy(delay=s(3)), 1, s(3)),
    (RetryPolicy(delay=s(3)), 10**6, s(3)),
    *((DOUBLING, attempt, s(delay)) for attempt, delay in enumerate([2, 4, 8, 16, 32, 32, 32], 1)),
    (DOUBLING, 10**6, s(32)),
    (DOUBLING, 10**100, s(32)),
    (RetryPolicy(delay=s(0), maximum_delay=s(32)), 10**6, s(0)),
    (RetryPolicy(delay=s(5), maximum_delay=s(5)), 3, s(5)),
    (RetryPolicy(delay=timedelta.resolution, maximum_delay=timedelta.max), 10**6, timedelta.max),
    (RetryPolicy(delay=timedelta.resolution, maximum_delay=timedelta.max), 66, timedelta.resolution * 2**65),
]


@pytest.mark.parametrize(("policy", "attempt", "delay"), DELAYS)
def test_the_table_of_delays(policy: RetryPolicy, attempt: int, delay: timedelta) -> None:
    assert policy.delay_after(attempt) == delay


def test_a_policy_has_no_jitter_unless_it_is_given_one() -> None:
    assert RetryPolicy().shortened(s(10), 1.0) == s(10)


@pytest.mark.parametrize(
    ("jitter", "luck", "delay"),
    [(0.0, 0.9, 10), (0.5, 0.0, 10), (0.5, 1.0, 5), (0.5, 0.5, 7.5), (1.0, 1.0, 0), (1.0, 0.25, 7.5)],
)
def test_jitter_shortens_a_delay_by_up_to_its_fraction(jitter: float, luck: float, delay: float) -> None:
    assert RetryPolicy(jitter=jitter).shortened(s(10), luck) == s(delay)


class Asked(Exception):
    pass


NETWORK = RetryPolicy(on=(OSError, KeyError), never_on=(ConnectionError,))

ERRORS: list[tuple[RetryPolicy, BaseException, bool]] = [
    (RetryPolicy(), ValueError(), True),
    (NETWORK, OSError(), True),
    (NETWORK, KeyError(), True),
    (NETWORK, ValueError(), False),
    (NETWORK, ConnectionResetError(), False),
    (NETWORK, ExceptionGroup("", [OSError(), KeyError()]), True),
    (NETWORK, ExceptionGroup("", [OSError(), ValueError()]), False),
    (NETWORK, ExceptionGroup("", [OSError(), ExceptionGroup("", [ConnectionError()])]), False),
    (NETWORK, Asked(), True),
    (NETWORK, ExceptionGroup("", [Asked()]), True),
    (NETWORK, ExceptionGroup("", [Asked(), OSError()]), True),
    (NETWORK, ExceptionGroup("", [Asked(), ValueError()]), False),
]


@pytest.mark.parametrize(("policy", "error", "retried"), ERRORS, ids=repr)
def test_the_table_of_errors(policy: RetryPolicy, error: BaseException, retried: bool) -> None:
    assert policy.concerns(error, asked=Asked) is retried


@pytest.mark.parametrize(
    ("policy", "attempt", "age", "allowed"),
    [
        (RetryPolicy(), 1, 0, False),
        (RetryPolicy(attempts=3), 2, 0, True),
        (RetryPolicy(attempts=3), 3, 0, False),
        (RetryPolicy(attempts=None), 10**6, 10**6, True),
        (RetryPolicy(attempts=None, maximum_age=s(60)), 10**6, 60, True),
        (RetryPolicy(attempts=None, maximum_age=s(60)), 1, 60.001, False),
        (RetryPolicy(attempts=3, maximum_age=s(60)), 3, 1, False),
    ],
)
def test_attempts_and_age_both_end_it(policy: RetryPolicy, attempt: int, age: float, allowed: bool) -> None:
    assert policy.allows(attempt, at=NOW + s(age), first=NOW) is allowed
