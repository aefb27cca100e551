"""Reading pickles without running anything: what is known, what is stood in for, and that it has an end."""

from __future__ import annotations

import datetime as dt
import decimal
import pickle
import pickletools
import time
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

import cloudpickle  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docket.store import NotPlain, NotShown, fits, load_plain, read_plain
from tests.planted import Planted, opened

BERLIN = dt.datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))

leaves = (
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.decimals(allow_nan=False) | st.uuids() | st.dates() | st.times() | st.timedeltas()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC) | st.just(dt.timezone(dt.timedelta(hours=-3), "x")))
    | st.complex_numbers(allow_nan=False) | st.builds(range, st.integers(-9, 9), st.integers(-9, 9))
)  # fmt: skip
hashable = (
    st.integers() | st.text() | st.binary() | st.uuids() | st.dates() | st.tuples(st.integers(), st.text())
)
values = st.recursive(
    leaves | st.frozensets(hashable) | st.sets(hashable),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.lists(inner).map(deque)
        | st.dictionaries(hashable, inner)
        | st.dictionaries(hashable, inner).map(OrderedDict)
        | st.dictionaries(hashable, inner).map(lambda items: defaultdict(list, items))
    ),
    max_leaves=20,
)


@pytest.fixture(autouse=True)
def nothing_was_opened() -> Any:
    opened.clear()
    yield
    assert opened == []


@given(values, st.sampled_from([pickle.dumps, cloudpickle.dumps, lambda value: pickle.dumps(value, 4)]))
@settings(max_examples=100, deadline=None)
def test_plain_values_are_read_as_they_are(value: Any, dump: Callable[[Any], bytes]) -> None:
    read = read_plain(dump(value))
    assert read == value
    assert type(read) is (dict if isinstance(value, defaultdict) else type(value))
    if fits(value):
        assert load_plain(dump(value)) == value


@given(st.lists(values), st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=3))))
@settings(max_examples=100, deadline=None)
def test_whatever_is_broken_is_said_to_be(value: list[Any], changes: list[tuple[int, bytes]]) -> None:
    pickled = bytearray(pickle.dumps([*value, Planted("x")]))
    for at, change in changes:
        at %= len(pickled)
        pickled[at : at + 1] = change
    with suppress(NotPlain):
        repr(read_plain(bytes(pickled)))


@given(st.binary())
@settings(max_examples=100, deadline=None)
def test_bytes_that_are_no_pickle_are_said_to_be_none(junk: bytes) -> None:
    with suppress(NotPlain):
        read_plain(junk)


class Colour:
    def __init__(self) -> None:
        self.secret = "red"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Planted("x"), "(not shown: tests.planted.note)"),
        (Colour(), "(not shown: tests.store.test_plain.Colour)"),
        (Colour, "(not shown: tests.store.test_plain.Colour)"),
        (dt.UTC, "datetime.timezone.utc"),
        (print, "(not shown: builtins.print)"),
        (Counter("a"), "(not shown: collections.Counter)"),
        (2**5000, "(not shown: a number of 5001 bits)"),
        ([1, {"a": Planted("x")}], "[1, {'a': (not shown: tests.planted.note)}]"),
        (BERLIN, repr(BERLIN)),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_not_plain_is_named(value: Any, shown: str) -> None:
    assert repr(read_plain(cloudpickle.dumps(value))) == shown


def test_a_name_that_is_made_up_is_shown_on_one_line() -> None:
    shown = repr(read_plain(b"\x80\x04\x8c\x04\x1b[2J\x8c\x03a\nb\x93."))
    assert shown == r"(not shown: \x1b[2J.a\nb)"
    long = repr(read_plain(pickle.dumps("x" * 5000).replace(b".", b"") + b"\x8c\x01a\x93."))
    assert len(long) < 200


@pytest.mark.parametrize(
    "value",
    [Colour(), Colour, [Colour()], (1, Planted("x")), BERLIN, ("x" * 20_000,)],
    ids=lambda value: type(value).__name__,
)
def test_only_what_is_plain_altogether_is_loaded(value: Any) -> None:
    with pytest.raises(NotPlain):
        load_plain(cloudpickle.dumps(value))


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def called(module: str, name: str, *arguments: bytes) -> bytes:
    """A pickle of a call."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93(" + b"".join(arguments) + b"tR."


UUID = b"\x80\x04" + text("uuid") + text("UUID") + b"\x93)\x81"
HUGE = b"\x8a\x06" + (10**12).to_bytes(6, "little")


@pytest.mark.parametrize(
    "pickled",
    [
        called("builtins", "bytes", HUGE),
        called("builtins", "bytearray", HUGE),
        called("builtins", "list", called("builtins", "range", HUGE)[2:-1]),
        called("builtins", "eval", text("1")),
        called("builtins", "getattr", text("x"), text("y")),
        called("collections", "defaultdict", text("tests.planted"), text("note")),
        called("collections", "deque", b"(K\x01K\x02t", HUGE),
        called("collections", "deque", b")", b"\x8a\x20" + b"\x7f" * 32),
        called("datetime", "datetime", b"C\x0a" + b"\xff" * 10),
        called("datetime", "datetime", b"C\x03abc"),
        called("datetime", "datetime", text("0123456789")),
        called("datetime", "date", b"C\x04\x00\x00\x00\x00"),
        called("datetime", "time", b"C\x06" + b"\xff" * 6),
        called("datetime", "datetime", b"C\x0a\x07\xea\x01\x02\x00\x00\x00\x00\x00\x00", text("UTC")),
        called("datetime", "timedelta", HUGE, HUGE, HUGE),
        called("datetime", "timezone", HUGE),
        called("decimal", "Decimal", text("no number")),
        called("decimal", "Decimal", HUGE),
        called("builtins", "range", b"K\x01K\x02K\x00"),
        called("builtins", "complex", text("1")),
        UUID + b"}\x94(" + text("int") + b"\x8a\x11" + b"\x7f" * 17 + b"ub.",
        UUID + b"N\x86b.",
    ],
    ids=lambda pickled: str(list(pickletools.genops(pickled))[2][1]),
)  # fmt: skip
def test_a_call_with_other_arguments_than_it_is_pickled_with_is_not_made(pickled: bytes) -> None:
    try:
        shown = read_plain(pickled)
    except NotPlain:
        return
    assert isinstance(shown, NotShown | dict), shown


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02\x82\x01.",  # EXT1
        b"Pid\n.", b"\x80\x04K\x01Q.",  # PERSID, BINPERSID
        b"\x80\x05\x97.", b"\x80\x05K\x01\x98.",  # buffers out of band
        b"(itests.planted\nnote\n.", b"(ctests.planted\nnote\nS'x'\no.",  # INST, OBJ
        b"\x80\x04K\x012.",  # DUP
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x04\x8b\xff\xff\xff\x7f.", b"\x80\x04B\xff\xff\xff\x7f.",
        b"\x80\x04e.", b"\x80\x04u.", b"\x80\x04t.", b"\x80\x04R.", b"\x80\x04\x86.", b"\x80\x04h\x05.", b"\x80\x04.",
        b"\x80\x04K\x01K\x01a.", b"\x80\x04]K\x01K\x02s.", b"\x80\x04](\x90.", b"\x80\x04}](K\x01d.",
        b"\x80\x04}]K\x01s.",
        b"", b"\x80\x04K\x01", b"I" + b"9" * 100_000 + b"\n.",
    ],
    ids=repr,
)  # fmt: skip
def test_an_opcode_that_does_not_belong_there_ends_it(pickled: bytes) -> None:
    with pytest.raises(NotPlain):
        read_plain(pickled)


def test_a_memo_without_end_takes_no_memory() -> None:
    """The C unpickler makes a table as long as the number says."""
    assert read_plain(b"\x80\x04K\x01r\xff\xff\xff\xff.") == 1


def test_state_changes_nothing_of_what_the_reader_has() -> None:
    """BUILD would set attributes of whatever the pickle names."""
    pickled = b"\x80\x04" + text("datetime") + text("timedelta") + b"\x93}(" + text("x") + b"K\x01ub."
    assert isinstance(read_plain(pickled), NotShown)
    assert read_plain(pickle.dumps(dt.timedelta(1))) == dt.timedelta(1)


def shared(depth: int, pair: bytes) -> bytes:
    """Two of two of two ...: a pickle that grows by a few bytes where its value doubles."""
    return b"\x80\x04)" + b"".join(b"\x94h" + bytes([n]) + pair for n in range(depth))


NESTED = b"\x80\x04" + b"]" * 3000 + b"a" * 2999 + b"."
DEEP_KEY = b"\x80\x04})" + b"\x85" * 3000 + b"K\x01s."
IN_ITSELF = b"\x80\x04]\x94h\x00a."


@pytest.mark.parametrize(
    "pickled", [shared(60, b"\x86") + b".", NESTED, IN_ITSELF], ids=["shared", "nested", "itself"]
)
def test_what_has_no_end_does_not_fit(pickled: bytes) -> None:
    began = time.process_time()
    assert not fits(read_plain(pickled))
    with pytest.raises(NotPlain, match="too long"):
        load_plain(pickled)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "pickled", [shared(60, b"\x86") + b"\x94}h\x3cK\x01s.", DEEP_KEY], ids=["shared", "deep"]
)
def test_what_takes_for_ever_to_hash_is_no_key(pickled: bytes) -> None:
    with pytest.raises(NotPlain, match="too long"):
        read_plain(pickled)


def test_so_long_a_pickle_and_no_longer_is_read() -> None:
    assert read_plain(pickle.dumps("x" * 4_000_000)) == "x" * 4_000_000
    with pytest.raises(NotPlain, match="bytes"):
        read_plain(pickle.dumps("x" * 5_000_000))
    with pytest.raises(NotPlain, match="parts"):
        read_plain(pickle.dumps([1] * 50_000))


def test_numbers_that_are_made_to_collide_take_bounded_time() -> None:
    keys = {n * (2**61 - 1): n for n in range(2000)}
    began = time.process_time()
    read_plain(pickle.dumps(keys))
    assert time.process_time() - began < 2


def test_the_same_object_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    one = uuid.uuid4()
    first, second = read_plain(pickle.dumps([one, one]))
    assert first is second
    assert first == one
    assert read_plain(pickle.dumps({one: decimal.Decimal("1.10")})) == {one: decimal.Decimal("1.10")}


class Members(set[int]):
    pass


class Named:
    def __new__(cls, *, name: str) -> Named:
        return object.__new__(cls)

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, str]]:
        return (), {"name": "x"}


@pytest.mark.parametrize(
    "value", [Members({1}), Named(name="x"), [Named(name="y"), 1][0]], ids=["set", "keywords", "element"]
)
def test_objects_are_stood_in_for_however_they_are_made(value: object) -> None:
    shown = repr(read_plain(pickle.dumps(value)))
    assert shown == f"(not shown: tests.store.test_plain.{type(value).__name__})"


@pytest.mark.parametrize("name", [b"K\x01" + text("x"), text("x") + b"K\x01"], ids=["module", "name"])
def test_a_name_that_is_no_text_ends_it(name: bytes) -> None:
    with pytest.raises(NotPlain, match="it has a name that is no text"):
        read_plain(b"\x80\x04" + name + b"\x93.")


def test_what_was_put_above_a_mark_can_be_taken_off_again() -> None:
    assert read_plain(b"\x80\x04K\x01(K\x02K\x031.") == 1  # POP_MARK
    assert read_plain(b"\x80\x04K\x01(0.") == 1  # POP of a mark
    assert read_plain(b"\x80\x04K\x01K\x020.") == 1


@pytest.mark.parametrize("zone", [None, dt.UTC])
@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("hour", [1, 16, 23])
def test_a_time_is_read_to_its_fold(hour: int, fold: int, zone: dt.tzinfo | None) -> None:
    time_of_day = dt.time(hour, 30, fold=fold, tzinfo=zone)
    read = read_plain(pickle.dumps(time_of_day))
    assert (read, read.fold) == (time_of_day, fold)
    moment = dt.datetime(2026, 10, 25, hour, 30, fold=fold, tzinfo=zone)
    read = read_plain(pickle.dumps(moment))
    assert (read, read.fold) == (moment, fold)


@pytest.mark.parametrize("number", [0, 2**128 - 1])
def test_every_uuid_is_read(number: int) -> None:
    assert read_plain(pickle.dumps(uuid.UUID(int=number))) == uuid.UUID(int=number)


def test_a_deque_keeps_its_longest() -> None:
    read = read_plain(pickle.dumps(deque([1, 2], maxlen=2)))
    assert (read, read.maxlen) == (deque([1, 2]), 2)


@pytest.mark.parametrize(
    ("value", "cost"),
    [
        ("x" * 10, 12),
        (b"x" * 10, 12),
        (7, 8 + 1),
        (2**30, 8 + 10),
        (decimal.Decimal("1.25"), 8 + 3),
        (1.5, 8),
        ([], 2),
        ([1.5, "x"], 2 + 8 + 3),
        ({"x": "y"}, 2 + 3 + 3),
    ],
    ids=repr,
)
def test_what_fits_is_what_costs_no_more_than_it_may(value: object, cost: int) -> None:
    assert fits(value, cost)
    assert not fits(value, cost - 1)
