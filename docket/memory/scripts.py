"""The cache of scripts, and the runtime that runs them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .replies import Reply

if TYPE_CHECKING:
    from .lua import Lua

__all__ = ["Scripts"]


class Scripts:
    """Compiled scripts by SHA, and the runtime, which is made for the first one.

    ``running``: a script is in progress; ``read_only``: it may not write. ``call`` runs a command for a
    script.
    """

    __slots__ = ("_by_text", "_call", "_compiled", "_lua", "read_only", "running")

    def __init__(self, call: Callable[[list[bytes]], Reply]) -> None:
        self._call = call
        self.running = False
        self.read_only = False
        self._compiled: dict[bytes, Any] = {}
        self._by_text: dict[str, bytes] = {}
        self._lua: Lua | None = None

    def __contains__(self, sha: bytes) -> bool:
        return sha in self._compiled

    def load(self, source: bytes) -> bytes:
        """Compile a script unless it is known; returns its SHA."""
        sha = hashlib.sha1(source).hexdigest().encode()
        if sha not in self._compiled:
            if self._lua is None:
                from .lua import Lua  # lupa takes a while to load, and many servers never run a script

                self._lua = Lua(self._call)
            if source.startswith(b"#!"):
                source = source[source.find(b"\n") :] if b"\n" in source else b""
            self._compiled[sha] = self._lua.compile(source, sha)
        return sha

    def sha_of(self, text: str) -> bytes:
        """The SHA of a script that is handed over as it is, compiled. Texts are long, and few: each is hashed once."""
        if (sha := self._by_text.get(text)) is None:
            sha = self._by_text[text] = self.load(text.encode())
        return sha

    def run(self, sha: bytes, keys: list[bytes], argv: list[bytes], *, read_only: bool) -> Reply:
        """Run a known script; raises the error that it ends with."""
        assert self._lua is not None  # made when the script was compiled
        self.running, self.read_only = True, read_only
        try:
            return self._lua.run(self._compiled[sha], sha, keys, argv)
        finally:
            self.running = False

    def flush(self) -> None:
        self._compiled.clear()
        self._by_text.clear()

    def close(self) -> None:
        self.flush()
        if self._lua is not None:
            self._lua.close()
            self._lua = None
