"""When a task that a worker does not know is looked at again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.rules import delay_until_known


def delay(seconds: float, times: int, share: float, luck: float = 0.0) -> float:
    return delay_until_known(timedelta(seconds=seconds), times, share=share, luck=luck).total_seconds()


@pytest.mark.parametrize(
    ("waited", "pause"), [(0, 1), (1, 1), (2, 2), (30, 30), (60, 60), (61, 60), (1e6, 60)]
)
def test_where_nobody_knows_it_the_pauses_double_up_to_a_minute(waited: float, pause: float) -> None:
    assert delay(waited, 7, 0.0) == pause


@pytest.mark.parametrize(
    ("times", "share", "pause"),
    [
        (0, 0.5, 0), (3, 0.5, 0), (4, 0.5, 0.02), (6, 0.5, 0.04), (8, 0.5, 0.08), (40, 0.5, 5), (10**9, 0.5, 5),
        (0, 1.0, 0), (1, 1.0, 0), (2, 1.0, 0.02), (3, 1.0, 0.04),
        (199, 0.01, 0), (200, 0.01, 0.02), (300, 0.01, 0.04),
    ],
)  # fmt: skip
def test_where_one_of_n_knows_it_there_is_none_at_first_and_then_it_doubles_every_n_times(
    times: int, share: float, pause: float
) -> None:
    assert delay(0, times, share) == pytest.approx(pause)


def test_luck_shortens_a_pause_by_up_to_a_half() -> None:
    assert delay(10, 1, 0.0, luck=1.0) == 5
    assert delay(0, 8, 0.5, luck=1.0) == pytest.approx(0.04)
