"""Which serializers a docket has: what settings and variables mean, and which of them make no sense."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from docket.errors import BadSetting
from docket.serializers import Json, Sealed, chosen
from docket.store import About, Told

KEY = b"k" * 32


class Own:
    """One of the program's own."""

    name = "own"

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def loads(self, payload: bytes) -> Any:
        return json.loads(payload)


own = Own()


def read_by(*settings: Any) -> list[str]:
    return sorted(chosen(*settings).read)


def test_what_is_written_is_read_and_pickles_are_unless_accept_says_otherwise() -> None:
    assert read_by() == ["pickle"]
    assert read_by("json") == ["json", "pickle"]
    assert read_by("json", {"json"}) == ["json"]
    assert read_by("pickle", ["json", "pickle"]) == ["json", "pickle"]
    assert read_by(Sealed(Own(), keys=[KEY]), {"sealed:own", "json"}) == ["json", "sealed:own"]
    own = Own()
    assert read_by(own, {own}) == read_by(own, {"own"}) == ["own"]


def test_a_module_may_have_it_under_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    here = f"{__name__}:own"
    assert read_by(here) == ["own", "pickle"]
    assert read_by(here, {here}) == read_by(here, {"own"}) == ["own"]
    monkeypatch.setenv("DOCKET_SEALING_KEYS", "k" * 32)
    monkeypatch.setenv("DOCKET_SERIALIZER", f"sealed:{here}")
    assert read_by(None, {"sealed:own"}) == ["sealed:own"]


def test_variables_say_what_the_program_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKET_SERIALIZER", "json")
    assert read_by() == ["json", "pickle"]
    monkeypatch.setenv("DOCKET_ACCEPT", "json, pickle")
    assert read_by() == ["json", "pickle"]
    assert read_by("json", {"json"}) == ["json"]
    monkeypatch.setenv("DOCKET_ACCEPT", "json")
    assert read_by() == ["json"]


@pytest.mark.parametrize(
    ("serializer", "accept", "said"),
    [
        ("jsn", None, "serializer takes 'pickle', 'json', .* or an object .* not 'jsn' .did you mean 'json'"),
        (Json, None, "an object with a name, dumps and loads, not <class"),
        (3, None, "not 3"),
        (json, None, "has a name of its own .* not None"),
        (f"{__name__}:KEY", None, f"serializer {__name__}:KEY takes 'pickle'"),
        ("sealed:jsn", None, "not 'sealed:jsn'"),
        ("json", "json", "accept takes a set of serializers"),
        ("json", {"pickle"}, "accept has 'pickle', and this docket writes 'json'"),
        ("json", (), "accept has nothing, and this docket writes 'json'"),
        ("json", {"json", "msgpack"}, "accept takes .* not 'msgpack'"),
        (Json(), [Json()], "there are two serializers named 'json'"),
        (Own(), [Own()], "there are two serializers named 'own'"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(serializer: Any, accept: Any, said: str) -> None:
    with pytest.raises(BadSetting, match=said):
        chosen(serializer, accept)


@pytest.mark.parametrize("name", ["json", "pickle", "a name", "", "sealed", "é", "x" * 41])
def test_a_name_travels_so_it_is_plain_and_nobody_elses(name: str) -> None:
    own = Own()
    own.name = name
    with pytest.raises(BadSetting, match="has a name of its own"):
        chosen(own)


def test_an_object_of_ones_own_is_given_values_and_told_of_exceptions() -> None:
    written = chosen(Own()).written
    here = About(kind="args", docket="d")
    assert written.loads(written.dumps((1, "a"), here), here) == (1, "a")
    failed = About(kind="exception", docket="d", note="on worker w")
    told = written.loads(written.dumps(KeyError("x"), failed), failed)
    assert isinstance(told, Told)
    error = told.made({})
    assert (type(error), error.args, error.__notes__) == (KeyError, ("x",), ["on worker w"])


def test_an_object_that_makes_no_bytes_is_told() -> None:
    own: Any = Own()
    own.dumps = str
    with pytest.raises(TypeError, match="the serializer 'own' makes str, not bytes"):
        chosen(own).written.dumps(1, About(kind="result", docket="d"))


def test_pickles_may_be_those_of_others_too() -> None:
    written = chosen("pickle").written
    here = About(kind="result", docket="d")
    assert written.loads(pickle.dumps({1}), here) == {1}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "DOCKET_SEALING_KEYS or DOCKET_SEALING_KEYS_FILE; neither is set"),
        ({"DOCKET_SEALING_KEYS": "k" * 32, "DOCKET_SEALING_KEYS_FILE": "x"}, "both are set: use one of them"),
        ({"DOCKET_SEALING_KEYS": "short"}, "16"),
        ({"DOCKET_SEALING_KEYS_FILE": "/no/such"}, "DOCKET_SEALING_KEYS_FILE: the file cannot be read"),
        ({"DOCKET_SEALING_KEYS_FILE": os.devnull}, "key"),
    ],
)  # fmt: skip
def test_what_seals_needs_good_keys_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting, match=said):
        chosen("sealed:json")


def test_keys_that_seal_come_from_a_variable_or_a_file_the_newest_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newest, older = "n" * 32, "o" * 32
    expected = Sealed("json", keys=[newest, older]).key_ids
    monkeypatch.setenv("DOCKET_SEALING_KEYS", f"{newest} {older}")
    assert key_ids("sealed:json") == expected
    monkeypatch.delenv("DOCKET_SEALING_KEYS")
    file = tmp_path / "keys"
    file.write_text(f"# the newest\n{newest}\n\n{older}\n")
    file.chmod(0o600)
    monkeypatch.setenv("DOCKET_SEALING_KEYS_FILE", str(file))
    assert key_ids("sealed:pickle") == expected
    assert not caplog.records
    file.chmod(0o644)
    key_ids("sealed:json")
    assert os.name != "posix" or "may be read by every user of this machine" in caplog.text


def key_ids(name: str) -> list[str]:
    """The ids of the keys with which the serializer of this name seals."""
    written = chosen(name).written
    assert isinstance(written, Sealed)
    return written.key_ids
