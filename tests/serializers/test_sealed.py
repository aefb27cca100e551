"""What is sealed opens with a key, and only where it belongs."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docket.errors import BadSetting
from docket.serializers import Sealed, SealedOtherwise
from docket.store import About, key_id_of

OLD, NEW = b"o" * 32, "n" * 16
HERE = About(kind="args", docket="d", task="t", key="k")
RESULT = About(kind="result", docket="d", task="t", key="k", generation=3)


@pytest.mark.parametrize("inner", ["json", "pickle"])
def test_what_is_sealed_opens_where_it_belongs_and_shows_nothing(inner: str) -> None:
    sealed = Sealed(inner, keys=[NEW])
    payload = sealed.dumps(("hunter2",), HERE)
    assert sealed.loads(payload, HERE) == ("hunter2",)
    assert b"hunter2" not in payload
    assert sealed.dumps(("hunter2",), HERE) != payload  # equal values do not look alike
    assert key_id_of(payload).hex() == sealed.key_ids[0]  # for people, without a key


@pytest.mark.parametrize(
    "change",
    [
        {"docket": "e"},
        {"task": "u"},
        {"key": "l"},
        {"kind": "kwargs"},
        {"task": "tk", "key": ""},
    ],
)
def test_elsewhere_it_does_not_open(change: dict[str, Any]) -> None:
    sealed = Sealed("pickle", keys=[NEW])
    payload = sealed.dumps("hunter2", RESULT)
    with pytest.raises(SealedOtherwise, match="belongs to another docket, task or key"):
        sealed.loads(payload, attrs.evolve(RESULT, **change))


def test_a_result_of_an_earlier_run_does_not_open_as_that_of_a_later_one() -> None:
    sealed = Sealed("json", keys=[NEW])
    payload = sealed.dumps(7, RESULT)
    assert sealed.loads(payload, attrs.evolve(RESULT, generation=1)) == 7  # it was tried again meanwhile
    with pytest.raises(SealedOtherwise, match="belongs to an earlier run"):
        sealed.loads(payload, attrs.evolve(RESULT, generation=4))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_was_changed_does_not_open(data: st.DataObject) -> None:
    sealed = Sealed("pickle", keys=[NEW, OLD])
    payload = sealed.dumps("hunter2", HERE)
    at = data.draw(st.integers(0, len(payload) - 1))
    changed = data.draw(
        st.sampled_from(
            [payload[:at], payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :], payload + b"x", b""]
        )
    )
    with pytest.raises(SealedOtherwise):
        sealed.loads(changed, HERE)


def test_keys_rotate_without_a_gap() -> None:
    before, both, turned, after = (
        Sealed("json", keys=keys) for keys in ([OLD], [OLD, NEW], [NEW, OLD], [NEW])
    )
    payload = both.dumps([1], HERE)
    assert before.loads(payload, HERE) == turned.loads(payload, HERE) == (1,)
    newer = turned.dumps([1], HERE)
    assert both.loads(newer, HERE) == after.loads(newer, HERE) == (1,)
    with pytest.raises(SealedOtherwise, match=f"sealed with the key {before.key_ids[0]}, which is not here"):
        after.loads(payload, HERE)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([], "at least one"),
        (b"x" * 32, "a list of keys"),
        ([b"short"], "key 1 of keys= has 5 bytes"),
        ([OLD, 3], "key 2 of keys= is int, not bytes"),
        ([OLD, NEW, OLD], "key 3 of keys= is given twice"),
    ],
)
def test_a_bad_key_is_told_by_its_number(keys: Any, said: str) -> None:
    with pytest.raises(BadSetting, match=said):
        Sealed("json", keys=keys)


def test_no_key_is_shown() -> None:
    sealed = Sealed("json", keys=["hunter2hunter2hunter2"])
    assert "hunter2" not in repr(sealed)
    with pytest.raises(BadSetting, match="not what is sealed already"):
        Sealed(sealed, keys=[OLD])
