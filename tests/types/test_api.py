"""What type checkers know of docket: which calls they accept, with which types, and which they refuse."""

from __future__ import annotations

from pathlib import Path

from tests.types.conftest import CASES, Complaints

ACCEPTED, REFUSED = (f"tests/types/cases/{name}.py" for name in ("accepted", "refused"))


def test_calls_have_the_types_that_they_promise(complaints: Complaints) -> None:
    assert [*map(str, complaints(ACCEPTED))] == []


def test_a_call_that_does_not_fit_is_an_error_before_it_runs(complaints: Complaints) -> None:
    text = Path(CASES / "refused.py").read_text(encoding="utf-8")
    wrong = {number for number, line in enumerate(text.splitlines(), 1) if line.endswith("  # refused")}
    found = complaints(REFUSED)
    assert {each.line for each in found} == wrong, "\n".join(map(str, found))
