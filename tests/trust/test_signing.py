"""Signatures of payloads by themselves: what is signed, and what is refused."""

from __future__ import annotations

import hmac
from binascii import b2a_base64
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from docket.errors import DeliveryUnreadable, ResultUnreadable, Untrusted
from docket.store import Message, Payloads, Signatures
from docket.store.signing import _halves, _signature  # pyright: ignore[reportPrivateUsage]
from tests.trust.traps import TRACES, counted, trap

KEY, OTHER = b"k" * 32, b"o" * 32
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def payloads(*keys: bytes, docket: str = "d", **settings: Any) -> Payloads:
    return Payloads(docket, signatures=Signatures(docket, keys, **settings) if keys else None)


def call(by: Payloads, *args: Any, task: str = "t", key: str = "k", **kwargs: Any) -> Message:
    return Message(key, WHEN, task, *by.call(args, kwargs, task=task, key=key, when=WHEN))


@pytest.mark.parametrize("key", [b"k" * 16, b"k" * 64, b"k" * 65, b"k" * 200, bytes(range(32))])
@pytest.mark.parametrize("text", [b"", b"a", b"x" * 10_000])
def test_a_signature_is_the_hmac_of_the_standard_library(key: bytes, text: bytes) -> None:
    expected = hmac.digest(key, b"head%d:%brest" % (len(text), text), "sha256")
    assert _signature(_halves(key), "head", text, b"rest") == b2a_base64(expected)


def test_a_plain_docket_reads_what_another_one_signs() -> None:
    """So does pydocket: what follows a pickle does not concern whoever unpickles."""
    assert payloads().open_call(call(payloads(KEY), 1, a=2)) == ((1,), {"a": 2})


def test_older_keys_are_accepted_and_the_newest_signs() -> None:
    both = payloads(OTHER, KEY)
    assert both.open_call(call(payloads(KEY), 1)) == ((1,), {})
    assert payloads(OTHER).open_call(call(both, 2)) == ((2,), {})


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        {"key": "other"}, {"function": "other"}, {"key": "kt", "function": ""}, {"key": "", "function": "kt"},
        {"kwargs": trap("kwargs")}, {"kwargs": b"\x80\x05}\x94.more"},
    ],
)  # fmt: skip
def test_arguments_are_of_their_task_and_key_alone(change: dict[str, Any], required: bool) -> None:
    with counted() as counts, pytest.raises(Untrusted, match="does not hold"):
        payloads(KEY, required=required).open_call(attrs.evolve(call(payloads(KEY), 1), **change))
    assert (counts.refused, counts.accepted, TRACES) == (1, 0, [])


@pytest.mark.parametrize("required", [True, False])
def test_of_another_docket_or_key_nothing_is_opened(required: bool) -> None:
    with pytest.raises(Untrusted, match="does not hold"):
        payloads(KEY, required=required).open_call(call(payloads(KEY, docket="e"), 1))
    with pytest.raises(Untrusted, match="which is none of the signing_keys"):
        payloads(KEY, required=required).open_call(call(payloads(OTHER), 1))


def test_each_cut_and_each_changed_byte_is_refused() -> None:
    ours, signed = payloads(KEY), call(payloads(KEY), "text")
    args = signed.args
    variants = [args[:end] for end in range(len(args))]
    variants += [args[:at] + bytes([args[at] ^ 1]) + args[at + 1 :] for at in range(len(args))]
    variants += [args + args, args + b"\n", b"\n" + args, trap("args") + args, trap("args")]
    for variant in variants:
        with pytest.raises(Untrusted):
            ours.open_call(attrs.evolve(signed, args=variant))
    assert TRACES == []


def test_what_is_not_signed_passes_where_none_is_required(caplog: pytest.LogCaptureFixture) -> None:
    with counted() as counts:
        for number in range(3):
            opened = payloads(KEY, required=False).open_call(call(payloads(), number))
            assert opened == ((number,), {})
        accepting = payloads(KEY, required=False)
        for number in range(3):
            accepting.open_call(call(payloads(), number, key=str(number)))
        with pytest.raises(Untrusted, match="is not signed"):
            payloads(KEY).open_call(call(payloads(), 1))
    assert (counts.accepted, counts.refused) == (6, 1)
    assert (
        len([each for each in caplog.records if "is not signed" in each.message]) == 4
    )  # once for each docket


def test_a_call_is_of_the_moment_when_it_is_due() -> None:
    now = datetime.now(UTC)
    ours = payloads(KEY, max_age=timedelta(hours=1))
    for when, passes in (now, True), (now + timedelta(days=9), True), (now - timedelta(days=9), True):
        message = Message("k", when, "t", *ours.call((), {}, task="t", key="k", when=when))
        assert (ours.open_call(message, to_run=True) == ((), {})) is passes
    body = ours.call((), {}, task="t", key="k", when=now)[0].partition(b"\n")[0]
    signatures = ours.signatures
    assert signatures is not None
    hours_ago = (now - timedelta(hours=2)).timestamp()
    kwargs = Payloads().call((), {}, task="t", key="k", when=now)[1]
    args = signatures.signed("call 1:d1:t1:k", body, kwargs, serializer="pickle", moment=hours_ago)
    old = Message("k", now, "t", args, kwargs)
    assert ours.open_call(old) == ((), {})  # to look at it
    with pytest.raises(Untrusted, match=r"was signed to begin 2:00:00 ago, and signature_max_age is 1:00:00"):
        ours.open_call(old, to_run=True)
    assert ours.open_call(ours.written_anew(old), to_run=True) == ((), {})


def test_results_are_of_their_run_alone() -> None:
    ours = payloads(KEY)
    result = ours.result("secret", task="t", key="k", generation=3)
    failure = ours.exception(ValueError("no"), "a note", task="t", key="k", generation=3)
    about: dict[str, Any] = {"task": "t", "key": "k", "generation": 3, "failed": False}
    assert ours.open_result(result, **about) == "secret"
    assert (
        ours.open_result(result, **{**about, "generation": 2}) == "secret"
    )  # whoever waits for an older one
    assert ours.open_result(failure, **{**about, "failed": True}).args == ("no",)
    for change in {"key": "l"}, {"generation": 4}, {"failed": True}:
        with pytest.raises(Untrusted):
            ours.open_result(result, **{**about, **change})
    with pytest.raises(Untrusted, match="does not hold"):
        ours.open_result(failure, **about)
    with pytest.raises(Untrusted, match="its worker has no signing_keys"):
        ours.open_result(payloads().result(1, task="t", key="k", generation=3), **about)
    assert payloads().open_result(result, **about) == "secret"


def test_a_strike_is_signed_with_all_that_it_says() -> None:
    ours = payloads(KEY)
    strike = {b"direction": b"strike", b"function": b"f", b"parameter": b"p", b"operator": b"=="}
    strike[b"value"] = ours.strike(7, strike)
    assert ours.open_strike(strike) == ours.look_at_strike(strike) == 7
    assert payloads().open_strike(strike) == 7
    for name in strike:
        with pytest.raises((Untrusted, KeyError)):
            ours.open_strike({**strike, name: strike[name] + b"x"})
    without = {name: value for name, value in strike.items() if name != b"parameter"}
    with pytest.raises(Untrusted):
        ours.open_strike(without)
    with pytest.raises(Untrusted):
        ours.open_strike({**strike, b"value": trap("strike")})
    assert TRACES == []


def test_untrusted_is_caught_as_what_cannot_be_read() -> None:
    assert issubclass(Untrusted, DeliveryUnreadable)
    assert issubclass(Untrusted, ResultUnreadable)
