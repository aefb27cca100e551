"""Text that comes from elsewhere: shown in any case, refused where it is a name."""

from __future__ import annotations

import pytest

from docket.errors import UsageError
from docket.text import check_encodable, class_name, class_path, error_text, readable, text_of


class Hostile:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error

    __repr__ = __str__


class Stubborn(str):
    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        raise ValueError


def test_what_utf8_cannot_hold_is_escaped_and_everything_else_stays() -> None:
    assert readable("naïve \udcff ✗") == "naïve \\udcff ✗"


def test_a_string_of_a_class_of_its_own_becomes_a_plain_one() -> None:
    assert type(readable(Stubborn("mine"))) is str


@pytest.mark.parametrize("error", [ValueError(), SystemExit(), GeneratorExit(), RecursionError()])
@pytest.mark.parametrize("spell", [str, repr])
def test_an_object_that_cannot_be_spelt_out_is_said_to_be_so(spell: type[str], error: BaseException) -> None:
    name = type(error).__name__
    assert text_of(Hostile(error), spell) == f"({spell.__name__}() of it raised {name})"


def test_control_c_is_nobodys_text() -> None:
    with pytest.raises(KeyboardInterrupt):
        text_of(Hostile(KeyboardInterrupt()))


def test_an_error_is_named_before_its_message() -> None:
    assert error_text(KeyError("a\udc00b")) == "KeyError: 'a\\udc00b'"


def test_a_name_that_cannot_be_encoded_is_refused_with_the_place() -> None:
    check_encodable("naïve", "the key")
    with pytest.raises(UsageError, match=r"^the key 'caf\\udcff' has a character .*'\\udcff', at 3"):
        check_encodable("caf\udcff", "the key")


def test_a_class_is_named_without_asking_it() -> None:
    class ShyKind(type):
        def __getattribute__(cls, name: str) -> object:
            raise SystemExit(f"no {name}")

    class ShyError(Exception, metaclass=ShyKind):
        pass

    shy = Exception.__new__(ShyError)
    assert (class_path(KeyError()), class_name(shy)) == ("KeyError", "ShyError")
    assert class_path(shy).startswith(f"{__name__}.")
