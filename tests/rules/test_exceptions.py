"""What an error is and what an exception group holds, whatever its class claims."""

from __future__ import annotations

import pytest

from docket.rules import is_a, leaves, only_one_of, unfolds

ONE, TWO, THREE = ValueError("1"), OSError("2"), ValueError("3")


def group(*errors: BaseException) -> BaseExceptionGroup[BaseException]:
    return BaseExceptionGroup("several", errors)


def doubled(times: int) -> BaseException:
    """Two of two of two ...: as many errors as there are powers of two."""
    error: BaseException = ONE
    for _ in range(times):
        error = group(error, error)
    return error


class Pretender(Exception):
    __class__ = KeyboardInterrupt  # type: ignore[assignment]


class Secretive(BaseExceptionGroup[BaseException]):
    exceptions = ()  # type: ignore[assignment]


def test_an_error_is_of_its_type_whatever_it_claims() -> None:
    assert is_a(Pretender(), Exception)
    assert is_a(Pretender(), (OSError, Pretender))
    assert not is_a(Pretender(), KeyboardInterrupt)


def test_the_errors_of_a_group_come_in_order_however_deep() -> None:
    assert list(leaves(ONE)) == [ONE]
    assert list(leaves(group(ONE, group(group(TWO), THREE), ONE))) == [ONE, TWO, THREE, ONE]


def test_a_group_in_several_places_counts_once() -> None:
    inner = group(ONE, TWO)
    assert list(leaves(group(inner, THREE, inner))) == [ONE, TWO, THREE]
    assert list(leaves(doubled(1000))) == [ONE, ONE]


def test_a_group_is_asked_for_what_it_truly_holds() -> None:
    assert list(leaves(Secretive("nothing here", [ONE]))) == [ONE]


@pytest.mark.parametrize(
    ("errors", "only"),
    [
        (group(ONE), ONE),
        (group(group(ONE)), ONE),
        (group(ONE, group(ValueError("1"))), ONE),
        (group(ONE, THREE), None),
        (group(ValueError("2"), TWO), None),
    ],
)
def test_several_tasks_may_meet_one_and_the_same_error(
    errors: BaseExceptionGroup[BaseException], only: BaseException | None
) -> None:
    assert only_one_of(errors) is only


def test_a_group_with_more_errors_than_can_be_shown_does_not_unfold() -> None:
    assert unfolds(ONE)
    assert unfolds(group(ONE, group(TWO, THREE)))
    assert unfolds(group(*[ONE] * 9_000))
    assert not unfolds(group(*[ONE] * 10_001))
    assert not unfolds(doubled(1000))
