"""Charts: drawings without text, with a sentence and a table for those who do not see them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from docket.web.charts import Series, bars, lines, spark
from tests.web.test_markup import Read

BEGIN = datetime(2026, 11, 28, 18, 0, tzinfo=UTC)


def times(number: int) -> list[datetime]:
    return [BEGIN + timedelta(minutes=n) for n in range(number)]


def test_bars_stand_on_each_other_and_are_told_in_a_sentence() -> None:
    series = [Series("completed", "completed", [3, 0, 5]), Series("failed", "failed", [1, 0, 0])]
    chart = Read(bars(series, times(3), what="Runs"))
    (svg,) = [said for name, said in chart.elements if name == "svg"]
    assert svg["aria-label"] == "Runs: 8 completed, 1 failed"
    drawn = [said for name, said in chart.elements if name == "rect"]
    assert [each["class"] for each in drawn] == ["completed", "failed", "completed"]
    first, second = drawn[0], drawn[1]
    assert float(second["y"] or 0) + float(second["height"] or 0) == pytest.approx(
        float(first["y"] or 0), abs=0.02
    )
    assert "18:02" in chart.said  # the table
    assert chart.said.count("18:01") == 1  # on the axis alone: nothing ended then


@pytest.mark.parametrize("values", [[], [0], [0, 0, 0], [10**9, 1], [1] * 60])
def test_any_numbers_can_be_drawn(values: list[int]) -> None:
    series = [Series("due", "due", values)]
    for chart in (bars(series, times(len(values)), what="x"), lines(series, times(len(values)), what="x")):
        for number in re.findall(r' (?:height|y|width|x)="([^"]+)"', chart):
            assert 0 <= float(number) <= 600
        assert "nan" not in chart
    assert "in all" in spark(values, what="x", tone="due")


def test_a_row_of_bars_shows_what_failed_in_the_colour_of_failures() -> None:
    drawn = spark([4, 0, 2], what="Runs", tone="completed", bad=[3, 0, 0])
    assert drawn.count('class="failed"') == 1
    assert "Runs: 6 in all, 3 failed or were tried again" in drawn
