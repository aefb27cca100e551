"""codec: between Python values and what Redis holds."""

from __future__ import annotations

import base64
import enum
import json
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import cloudpickle
import pytest

from docket.errors import DeliveryUnreadable
from docket.store import (
    Message,
    PassedOn,
    decode_message,
    dump,
    dump_value,
    first_when,
    state_event,
)
from docket.store.codec import decode_flat, open_envelope, result_envelope
from docket.store.payloads import Payloads
from docket.store.pickles import load

Point = namedtuple("Point", "x y")


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


PAYLOADS: list[tuple[Any, ...] | dict[str, Any]] = [
    (), {}, (1,), (-1, 2**70), ("a",), ("ü\ud7ff\U0001f419",), ("x" * 300,), ("x" * 70_000,), (b"bytes\0",),
    (b"x" * 70_000,), (1.5, float("inf")), (None, True, False), ("same", "same"), ("",), tuple(range(300)),
    {"a": 1}, {"a": "b", "c": None}, {f"key {n}": n for n in range(1500)}, ((1, 2), [3]), ([], {}),
    ({"nested": {"deep": (1,)}},), (Colour.RED,), (Text("t"),), (Point(1, 2),), (UUID(int=7),),
    (datetime(2026, 1, 1, tzinfo=UTC),), (timedelta(seconds=1),), {"when": UTC},
]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: ascii(payload)[:40])
def test_arguments_are_written_as_cloudpickle_writes_them(payload: Any) -> None:
    """Byte for byte: both implementations then see the same message."""
    assert dump(payload) == cloudpickle.dumps(payload)
    assert load(dump(payload)) == payload
    assert type(load(dump(payload))) is type(payload)


def test_what_only_cloudpickle_can_write_is_written() -> None:
    assert load(dump((lambda: 7,)))[0]() == 7


def test_a_result_is_the_base64_of_its_pickle() -> None:
    assert base64.b64decode(dump_value({"a": 1})) == cloudpickle.dumps({"a": 1})
    opened = Payloads().open_result(dump_value({"a": 1}), task="t", key="k", generation=1, failed=False)
    assert opened == {"a": 1}


def test_an_envelope_is_what_py_key_value_writes() -> None:
    now = datetime(2026, 11, 20, 19, 49, 7, 450499, tzinfo=UTC)
    stored = result_envelope("pd:results", "k1:1", "gAVLKi4=", now=now, ttl=timedelta(minutes=15))
    assert json.loads(stored) == {
        "collection": "pd:results",
        "created_at": "2026-11-20T19:49:07.450499+00:00",
        "expires_at": "2026-11-20T20:04:07.450499+00:00",
        "key": "k1:1",
        "value": {"data": "gAVLKi4="},
        "version": 1,
    }
    assert open_envelope(stored.encode(), "k1:1") == "gAVLKi4="
    assert open_envelope(b'{"data": "gAVLBy4="}', "k1:1") == "gAVLBy4="


def test_the_envelope_of_another_result_is_not_opened() -> None:
    stored = result_envelope("pd:results", "a:1", "x", now=datetime.now(UTC), ttl=timedelta(minutes=15))
    assert open_envelope(stored.encode(), ":a:1") is None


FIELDS = {
    b"key": b"k", b"when": b"2026-11-20T19:49:07.425547+00:00", b"function": b"f", b"args": b"A", b"kwargs": b"K",
    b"attempt": b"2", b"generation": b"3",
}  # fmt: skip


def test_a_message_is_read_and_written_alike() -> None:
    message = decode_message({**FIELDS, b"traceparent": b"00"})
    assert message == Message(
        key="k",
        when=datetime(2026, 11, 20, 19, 49, 7, 425547, tzinfo=UTC),
        function="f",
        args=b"A",
        kwargs=b"K",
        attempt=2,
        generation=3,
        extra={b"traceparent": b"00"},
    )
    written = [part if isinstance(part, bytes) else str(part).encode() for part in message.fields()]
    assert dict(zip(written[::2], written[1::2], strict=True)) == {**FIELDS, b"traceparent": b"00"}
    assert written[12] == b"generation"  # the scripts put the new one there


def test_the_order_in_which_the_server_replies_the_fields_makes_no_difference() -> None:
    fields = {**FIELDS, b"traceparent": b"00"}
    for names in (list(FIELDS), list(reversed(FIELDS)), list(fields), list(FIELDS)[:-1]):
        flat = [part for name in names for part in (name, fields[name])]
        assert decode_flat(flat) == decode_message({name: fields[name] for name in names})


def test_a_moment_keeps_the_offset_of_whoever_wrote_it() -> None:
    message = decode_message({**FIELDS, b"when": b"2026-11-20T21:49:07+02:00"})
    assert message.when.isoformat() == "2026-11-20T21:49:07+02:00"


def test_a_message_without_a_generation_is_not_tracked() -> None:
    assert decode_message({name: FIELDS[name] for name in FIELDS if name != b"generation"}).generation == 0


WRONG = {
    **{f"no {name.decode()}": {k: v for k, v in FIELDS.items() if k != name} for name in list(FIELDS)[:-1]},
    "key": {**FIELDS, b"key": b"\xff"},
    "when": {**FIELDS, b"when": b"yesterday"},
    "naive when": {**FIELDS, b"when": b"2026-11-20T19:49:07"},
    "binary when": {**FIELDS, b"when": b"\xff"},
    "function": {**FIELDS, b"function": b"\xff\xfe"},
    "attempt": {**FIELDS, b"attempt": b"x"},
    "empty attempt": {**FIELDS, b"attempt": b""},
    "generation": {**FIELDS, b"generation": b"1.5"},
    "long number": {**FIELDS, b"attempt": b"1" * 5000},
    "many fields": {**FIELDS, **{b"%d" % n: b"" for n in range(1000)}},
}


@pytest.mark.parametrize("fields", WRONG.values(), ids=WRONG)
def test_a_field_that_cannot_be_decoded_is_named(fields: dict[bytes, bytes]) -> None:
    """I9: nothing else comes out than this error."""
    with pytest.raises(DeliveryUnreadable, match="the message has") as read:
        decode_message(fields)
    with pytest.raises(DeliveryUnreadable) as read_flat:
        decode_flat([part for field in fields.items() for part in field])
    assert str(read_flat.value) == str(read.value)


@pytest.mark.parametrize("text", ['"', "\\", "\n\r\t", "\0\x1f\x7f", "ü☃🐙", ""], ids=ascii)
def test_an_event_is_json_whatever_it_names(text: str) -> None:
    event = json.loads(state_event(text, "failed", "error", text))
    assert event == {"type": "state", "key": text, "state": "failed", "error": text}


def test_an_event_is_spelled_as_pydocket_spells_it() -> None:
    assert state_event("k3", "failed", "error", 'ValueError: no\n"q"') == json.dumps(
        {"type": "state", "key": "k3", "state": "failed", "error": 'ValueError: no\n"q"'}
    )


def test_the_first_time_of_a_call_is_told_to_its_retries_and_not_to_its_next_run() -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    later = when + timedelta(hours=1)
    placed = Message(key="k", when=when, function="f", args=b"", kwargs=b"", extra={b"traceparent": b"t"})
    plain = placed.again(later, 2)
    assert (plain.when, plain.attempt, plain.extra) == (later, 2, placed.extra)
    assert first_when(plain.extra) is None
    retry = placed.again(later, 2, when).again(later, 3)
    assert first_when(retry.extra) == when
    assert retry.again(later, 1).extra == placed.extra


@pytest.mark.parametrize("text", [b"", b"soon", b"2026-01-01T00:00:00"])
def test_a_first_time_that_cannot_be_read_is_not_known(text: bytes) -> None:
    assert first_when({b"first_when": text}) is None


def test_a_message_that_was_passed_on_tells_the_next_worker_and_not_the_next_run() -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    passed_on = PassedOn(3, timedelta(milliseconds=1500), 2)
    sent = Message(key="k", when=when, function="f", args=b"", kwargs=b"", passed_on=passed_on).fields()
    flat = [part if isinstance(part, bytes) else str(part).encode() for part in sent]
    read = decode_message(dict(zip(flat[::2], flat[1::2], strict=True)))
    assert read.passed_on == passed_on
    assert read.extra == {}
    assert read.again(when, 2).passed_on is None


@pytest.mark.parametrize("text", [b"", b"1 2", b"a b c"])
def test_what_cannot_be_read_of_how_it_was_passed_on_makes_a_message_unreadable(text: bytes) -> None:
    named = {b"when": b"2026-01-01T00:00:00+00:00", b"attempt": b"1", b"docket:unknown": text}
    with pytest.raises(DeliveryUnreadable):
        decode_message(dict.fromkeys((b"key", b"function", b"args", b"kwargs"), b"") | named)


@pytest.mark.parametrize("wrong", [{"key": 5}, {"function": 5}, {"attempt": "1"}, {"generation": None}])
def test_a_message_made_by_hand_is_checked_as_it_is_written(wrong: dict[str, Any]) -> None:
    given = {
        "key": "k",
        "when": datetime(2026, 1, 1, tzinfo=UTC),
        "function": "f",
        "args": b"",
        "kwargs": b"",
    }
    assert Message(**given).fields()[:2] == ["key", "k"]
    with pytest.raises(TypeError):
        Message(**(given | wrong)).fields()


@pytest.mark.parametrize(
    "stored", [b"{}", b"[]", b"7", b'{"data": 7}', b'{"value": {}}', b"{", b"[" * 100_000]
)
def test_what_is_no_result_is_said_to_be_none(stored: bytes) -> None:
    with pytest.raises(ValueError):
        open_envelope(stored, "k:1")
