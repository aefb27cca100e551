"""Signing keys as a program gives them, or the environment: what they must be, and what contradicts what."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from ..errors import BadSetting
from ..moments import check_setting, read_seconds
from ..store import Signatures
from ..text import text_of
from ..variables import key_lines

__all__ = ["LEAST", "SigningKey", "SigningMode", "read_key_file", "signatures_of"]

logger = logging.getLogger("docket.signatures")

SigningKey: TypeAlias = str | bytes
SigningMode: TypeAlias = Literal["require", "accept"]

LEAST = 16
"""How many bytes a key has at least. 32 random ones are what HMAC-SHA256 can use: ``openssl rand -hex 32``."""

KEYS, KEY_FILE, MODE, AGE = (
    "DOCKET_SIGNING_KEYS",
    "DOCKET_SIGNING_KEYS_FILE",
    "DOCKET_SIGNATURES",
    "DOCKET_SIGNATURE_MAX_AGE",
)


def signatures_of(
    docket: str,
    signing_keys: Sequence[SigningKey] | None,
    signatures: SigningMode | None,
    max_age: timedelta | None,
) -> Signatures | None:
    """How a docket signs and checks: as it is told, else as the environment says; None: not at all.

    Raises: BadSetting - a key is none, or what is given contradicts itself or the environment.
    """
    said = _keys_of_environment()
    if signing_keys is None:
        keys = said
    else:
        keys = _checked(signing_keys, "signing_keys")
        if not keys:
            raise BadSetting("signing_keys is empty: leave it out where nothing is to be signed")
        if said and said != keys:
            raise BadSetting(
                f"signing_keys and {_variable()} name different keys: give them in one place, the newest first"
            )
    mode = _mode(signatures)
    if max_age is None and (text := os.environ.get(AGE, "").strip()):
        max_age = _age(text)
    if max_age is not None:
        check_setting("signature_max_age", max_age, positive=True)
    if not keys:
        _check_nothing_else(signatures, mode, max_age)
        return None
    return Signatures(docket, keys, required=mode != "accept", max_age=max_age)


def _check_nothing_else(given: object, mode: str | None, max_age: timedelta | None) -> None:
    how = f"signing_keys=[...], the variable {KEYS} or {KEY_FILE}"
    if mode is not None:
        said = f"signatures={mode!r}" if given is not None else f"the variable {MODE}={mode}"
        raise BadSetting(f"{said} needs keys to check signatures with: {how}")
    if max_age is not None:
        raise BadSetting(f"signature_max_age needs keys to check signatures with: {how}")


def _checked(keys: object, name: str) -> tuple[bytes, ...]:
    if isinstance(keys, str | bytes) or not isinstance(keys, Sequence):
        raise BadSetting(f"{name} takes a list of keys, the newest first, not {type(keys).__name__}")
    found: list[bytes] = []
    for key in cast("Sequence[Any]", keys):
        if not isinstance(key, str | bytes):
            raise BadSetting(f"{name} takes keys that are str or bytes, not {type(key).__name__}")
        try:
            raw = key.encode() if isinstance(key, str) else key
        except UnicodeEncodeError:
            raise BadSetting(f"{name}: a key holds lone surrogates") from None
        if len(raw) < LEAST:
            raise BadSetting(
                f"{name}: a key of {len(raw)} bytes, and {LEAST} are the least; make one with `openssl rand -hex 32`"
            )
        if raw in found:
            raise BadSetting(f"{name}: the same key is there twice")
        found.append(raw)
    return tuple(found)


def _variable() -> str:
    return KEYS if os.environ.get(KEYS, "").strip() else KEY_FILE


def _keys_of_environment() -> tuple[bytes, ...]:
    text, file = os.environ.get(KEYS, "").strip(), os.environ.get(KEY_FILE, "").strip()
    if text and file:
        raise BadSetting(f"{KEYS} and {KEY_FILE} are both set: use one of them")
    if text:
        return _checked(text.split(), f"the variable {KEYS}")
    return read_key_file(file, f"the variable {KEY_FILE}") if file else ()


def read_key_file(path: str | Path, name: str = "--signing-key-file") -> tuple[bytes, ...]:
    """The keys in a file: one a line, the newest first; empty lines and those with a ``#`` in front count nothing.

    One that everybody may read is taken, and logged.
    Raises: BadSetting - it cannot be read, or has no key, or one that is too short.
    """
    keys = _checked(key_lines(path, name, "signing keys", logger), f"{name} {path}")
    if not keys:
        raise BadSetting(f"{name}: there is no key in {path}")
    return keys


def _mode(given: object) -> SigningMode | None:
    said = os.environ.get(MODE, "").strip().lower()
    for mode, name in (given, "signatures"), (said or None, f"the variable {MODE}"):
        if mode not in ("require", "accept", None):
            raise BadSetting(f"{name} takes 'require' or 'accept', not {text_of(mode, repr)}")
    if given is not None and said and given != said:
        raise BadSetting(f"signatures={given!r} and the variable {MODE}={said} contradict each other")
    return cast("SigningMode | None", given or said or None)


def _age(text: str) -> timedelta:
    try:
        return timedelta(seconds=read_seconds(text))
    except (ValueError, OverflowError):
        raise BadSetting(f"the variable {AGE} takes a duration like 90s, 2h or 7d, not {text!r}") from None
