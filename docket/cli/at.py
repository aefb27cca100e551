"""The options of every command: which docket it is about, on which server, and how that is opened.

Without ``from __future__ import annotations``: cyclopts looks for the types of inherited fields where the class is.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import attrs
from cyclopts import Parameter

from ..errors import BadSetting, BadUrl, UsageError
from .loops import Backend
from .options import Reader, choice, each, option, url, word_or_path
from .paths import check_paths

__all__ = [
    "DEFAULT_URL",
    "HERE",
    "NO_TRUST",
    "At",
    "Here",
    "ServerUrl",
    "Trust",
    "TrustOptions",
    "server_url",
]

KEYS, KEY_FILE, MODE = "DOCKET_SIGNING_KEYS", "DOCKET_SIGNING_KEYS_FILE", "DOCKET_SIGNATURES"
SEALING_KEYS, SEALING_KEY_FILE = "DOCKET_SEALING_KEYS", "DOCKET_SEALING_KEYS_FILE"

DEFAULT_URL = "redis://localhost:6379/0"


def _server_url(text: str) -> str:
    read, _ = url
    if text.partition(":")[0].strip().lower() == "memory":
        raise BadUrl("memory:// is a server within one process; no other command can see it")
    return read(text)


#: The URL of a server that other processes can reach.
server_url: Reader = (_server_url, url[1])

DocketName = Annotated[str, Parameter(name="--docket", env_var="DOCKET_NAME")]
ServerUrl = Annotated[str, option("--url", server_url, "DOCKET_URL")]

SEALED = "sealed:"
OURS = ("pickle", "json", f"{SEALED}json", f"{SEALED}pickle")
serializer = word_or_path("a serializer", *OURS)

KeyFile = Annotated[Path | None, Parameter(name="--signing-key-file", env_var=KEY_FILE)]
SealingKeyFile = Annotated[Path | None, Parameter(name="--sealing-key-file", env_var=SEALING_KEY_FILE)]
Mode = Annotated[str | None, option("--signatures", choice("require", "accept"), MODE)]
Serializer = Annotated[str | None, option("--serializer", serializer, "DOCKET_SERIALIZER")]
Accept = Annotated[tuple[str, ...], each("--accept", serializer, "DOCKET_ACCEPT")]


@attrs.frozen(kw_only=True)
class Trust:
    """What a docket is told about keys and serializers.

    Parameters
    ----------
    signing_key_file
        A file with the keys that sign, one a line, the newest first.
    sealing_key_file
        A file with the keys that seal, one a line, the newest first; for a serializer sealed:...
    signatures
        What has no signature is refused (require), or let pass (accept), for a migration or beside pydocket.
    serializer
        How arguments, results and strikes travel: pickle, json, sealed:json, sealed:pickle, or module:name of one of
        your own.
    accept
        A serializer whose payloads are read, if not that one and pickle; may be repeated.
    """

    signing_key_file: KeyFile = None
    sealing_key_file: SealingKeyFile = None
    signatures: Mode = None
    serializer: Serializer = None
    accept: Accept = ()

    def settings(self) -> dict[str, Any]:
        """The settings of a docket. What its variables say it reads by itself.

        Raises: UsageError - an option contradicts another, or a variable; a file has no keys; a serializer cannot be
        had.
        """
        return {**self._keys(), **self._mode(), **self._serializers()}

    def _keys(self) -> dict[str, Any]:
        file = _given("--signing-key-file", self.signing_key_file, KEYS, KEY_FILE)
        if file is None:
            return {}
        from ..client import read_key_file

        return {"signing_keys": read_key_file(file)}

    def _mode(self) -> dict[str, Any]:
        mode, said = self.signatures, os.environ.get(MODE)
        if mode is None or (said is not None and mode == said.strip().lower()):
            return {}
        if said is not None:
            raise UsageError(f"--signatures {mode} and the variable {MODE}={said} contradict each other")
        self.check_keys(f"--signatures {mode}")
        return {"signatures": mode}

    def check_keys(self, option: str) -> None:
        """Raises: UsageError - there are no keys, without which an option means nothing."""
        if self.signing_key_file is None and KEYS not in os.environ:
            raise UsageError(
                f"{option} needs keys to check signatures with: --signing-key-file, or the variable {KEYS}"
            )

    def _sealing_keys(self) -> Sequence[str] | None:
        """The keys of the option; None where there is none, and what seals asks the variables."""
        option = "--sealing-key-file"
        file = _given(option, self.sealing_key_file, SEALING_KEYS, SEALING_KEY_FILE)
        if file is None:
            return None
        if not any(name is not None and name.startswith(SEALED) for name in (self.serializer, *self.accept)):
            raise UsageError(
                f"{option} has keys for what seals, as --serializer {SEALED}json or --accept {SEALED}json"
            )
        from ..serializers import keys_of_file

        return keys_of_file(file, option)

    def _serializers(self) -> dict[str, Any]:
        keys = self._sealing_keys()
        if self.serializer is None and not self.accept:
            return {}
        check_paths({"--serializer": _not_ours([self.serializer]), "--accept": _not_ours(self.accept)})
        from ..serializers import chosen

        try:
            found = chosen(self.serializer, self.accept or None, sealing_keys=keys)
        except BadSetting as error:
            raise UsageError(f"{self._of_serializers()}: {error}") from None
        except ModuleNotFoundError as error:
            raise UsageError(f"{self._of_serializers()}: {error}") from error
        return {"serializer": found.written, "accept": list(found.read.values())}

    def _of_serializers(self) -> str:
        given = {
            "--serializer": self.serializer,
            "--accept": self.accept,
            "--sealing-key-file": self.sealing_key_file,
        }
        return " and ".join(option for option, value in given.items() if value)


def _given(option: str, file: Path | None, keys: str, key_file: str) -> Path | None:
    """The file of an option, unless a variable named it. Raises: UsageError - one of the variables has keys, too."""
    if file is None or str(file) == os.environ.get(key_file):
        return None
    for variable in keys, key_file:
        if variable in os.environ:
            raise UsageError(f"{option} and the variable {variable} both have keys: use one of them")
    return file


def _not_ours(names: Sequence[str | None]) -> list[str | None]:
    """Those that name a member of a module."""
    return [name for name in names if name not in OURS]


TrustOptions = Annotated[Trust, Parameter(name="*")]
NO_TRUST = Trust()


@attrs.frozen(kw_only=True)
class At(Trust):
    """Which docket a command is about, on which server, and how it is opened: the options of every command.

    Parameters
    ----------
    docket
        The name of the docket.
    url
        The server of the docket.
    backend
        The event loop: asyncio, uvloop or trio.
    """

    docket: DocketName = "docket"
    url: ServerUrl = DEFAULT_URL
    backend: Backend = "asyncio"


Here = Annotated[At, Parameter(name="*")]
HERE = At()
