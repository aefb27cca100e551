"""Keys, modes and ages as programs and the environment give them: what is wrong with one is said where it is given."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from docket import Docket, StrikeList
from docket.errors import BadSetting
from tests.trust.traps import KEY, OTHER


def made(**settings: Any) -> Docket:
    return Docket("settings", "memory://settings", **settings)


def key_ids(docket: Docket) -> list[str]:
    signatures = docket.payloads.signatures
    return [] if signatures is None else signatures.key_ids


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"signing_keys": []}, "signing_keys is empty"),
        ({"signing_keys": KEY}, "takes a list of keys"),
        ({"signing_keys": [7]}, "takes keys that are str or bytes, not int"),
        ({"signing_keys": [""]}, "a key of 0 bytes, and 16 are the least"),
        ({"signing_keys": [KEY, "short"]}, "a key of 5 bytes, and 16 are the least"),
        ({"signing_keys": [KEY, KEY]}, "the same key is there twice"),
        ({"signing_keys": ["\ud800" * 20]}, "lone surrogates"),
        ({"signatures": "require"}, "signatures='require' needs keys"),
        ({"signatures": "accept"}, "signatures='accept' needs keys"),
        ({"signing_keys": [KEY], "signatures": "maybe"}, "takes 'require' or 'accept', not 'maybe'"),
        ({"signature_max_age": timedelta(hours=1)}, "signature_max_age needs keys"),
        ({"signing_keys": [KEY], "signature_max_age": timedelta(0)}, "signature_max_age"),
        ({"signing_keys": [KEY], "signature_max_age": 60}, "signature_max_age"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_refused_at_once(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetting, match=said.replace("(", r"\(")):
        made(**settings)


@pytest.mark.parametrize(
    ("variables", "settings", "said"),
    [
        ({"DOCKET_SIGNING_KEYS": OTHER}, {"signing_keys": [KEY]}, "name different keys"),
        ({"DOCKET_SIGNING_KEYS": KEY, "DOCKET_SIGNING_KEYS_FILE": "x"}, {}, "are both set"),
        ({"DOCKET_SIGNING_KEYS": "short"}, {}, "the variable DOCKET_SIGNING_KEYS: a key of 5 bytes"),
        ({"DOCKET_SIGNING_KEYS_FILE": "/no/such"}, {}, "DOCKET_SIGNING_KEYS_FILE: the file cannot be read"),
        ({"DOCKET_SIGNATURES": "require"}, {}, "the variable DOCKET_SIGNATURES=require needs keys"),
        ({"DOCKET_SIGNATURES": "maybe"}, {"signing_keys": [KEY]}, "DOCKET_SIGNATURES takes"),
        ({"DOCKET_SIGNATURES": "accept"}, {"signing_keys": [KEY], "signatures": "require"}, "contradict"),
        ({"DOCKET_SIGNATURE_MAX_AGE": "soon"}, {"signing_keys": [KEY]}, "takes a duration"),
    ],
)
def test_the_environment_is_checked_and_must_not_contradict(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], settings: dict[str, Any], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace(" ", "-"))
    with pytest.raises(BadSetting, match=said):
        made(**settings)


def test_the_environment_gives_what_the_program_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = "a" * 32, "b" * 32
    assert key_ids(made()) == []
    monkeypatch.setenv("DOCKET_SIGNING_KEYS", f"{first} {second}")
    by_variable = made()
    assert key_ids(by_variable) == key_ids(made(signing_keys=[first, second]))
    monkeypatch.delenv("DOCKET_SIGNING_KEYS")
    file = tmp_path / "keys"
    file.write_text(f"# the newest\n{first}\n\n{second}\n")
    file.chmod(0o600)
    monkeypatch.setenv("DOCKET_SIGNING_KEYS_FILE", str(file))
    monkeypatch.setenv("DOCKET_SIGNATURES", "accept")
    monkeypatch.setenv("DOCKET_SIGNATURE_MAX_AGE", "2h")
    by_file = made().payloads.signatures
    assert by_file is not None
    assert by_file.key_ids == key_ids(by_variable)
    assert (by_file.required, by_file.max_age) == (False, timedelta(hours=2))
    assert not caplog.records
    file.chmod(0o644)
    made()
    assert os.name != "posix" or "may be read by every user" in caplog.text


def test_keys_are_shown_nowhere() -> None:
    docket = made(signing_keys=[KEY])
    assert KEY not in repr(docket.payloads)
    assert KEY not in repr(vars(docket))


def test_a_list_of_strikes_takes_keys_too() -> None:
    with pytest.raises(BadSetting, match="16 are the least"):
        StrikeList("redis://localhost/0", "settings", signing_keys=["short"])


def test_the_environment_is_asked_once_and_for_what_the_program_does_not_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DOCKET_SIGNATURES", "accept")
    monkeypatch.setenv("DOCKET_SIGNATURE_MAX_AGE", "2h")
    signatures = made(signing_keys=[KEY]).payloads.signatures
    assert signatures is not None
    assert (signatures.required, signatures.max_age) == (False, timedelta(hours=2))
    file = tmp_path / "keys"
    file.write_text("a" * 32)
    file.chmod(0o644)
    monkeypatch.setenv("DOCKET_SIGNING_KEYS_FILE", str(file))
    made()
    assert len(caplog.messages) == (os.name == "posix")
