"""The Lua 5.1 that scripts run in: one runtime per server, each script compiled once.

lupa is imported with this module, so this module is imported when the first script arrives.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from lupa import lua51

from .cjson import Json
from .replies import ErrorReply, Reply, Status, one_line

__all__ = ["Lua"]

#: By SHA, what scripts were compiled to: the next server of this process takes a fifth of the time. Bounded, for
#: scripts may be made of values.
_compiled: dict[bytes, bytes] = {}
_KEPT = 200


class Lua:
    """Compiles and runs scripts; ``call`` runs a command for one, raising or returning its errors."""

    def __init__(self, call: Callable[[list[bytes]], Reply]) -> None:
        self._call = call
        self._crash: BaseException | None = None
        # No attribute access: a script cannot reach Python through the objects it is given. The sandbox takes
        # ``python.as_function`` from the builtins and shows scripts nothing of them.
        new_runtime: Any = lua51.LuaRuntime
        runtime: Any = new_runtime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            attribute_filter=_no_attributes,
        )
        self._table: Callable[[Any], Any] = runtime.table_from
        self._type: Callable[[Any], str | None] = lua51.lua_type
        json = Json(self._table, self._type)
        lent = {
            b"call": self._command,
            b"pcall": self._protected_command,
            b"sha1hex": _sha1hex,
            b"text_of": _text_of,
            b"cjson": self._table({b"encode": json.encode, b"decode": json.decode, b"null": json.null}),
        }
        source = files("docket.memory").joinpath("sandbox.lua").read_bytes()
        compile_, run, dump = runtime.execute(source, self._table(lent))
        self._compile: Callable[[bytes], tuple[Any, bytes]] = compile_
        self._run: Callable[[Any, Any, Any], tuple[bool, Any]] = run
        self._dump: Callable[[Any], bytes] = dump

    def close(self) -> None:
        """Drop the runtime: it and this object refer to each other out of the garbage collector's sight."""
        del self._table, self._compile, self._run, self._dump

    def compile(self, source: bytes, sha: bytes) -> Any:
        """The function of a script; raises the server's compile error."""
        script, complaint = self._compile(_compiled.get(sha, source))
        if script is None:
            raise ErrorReply(b"ERR Error compiling script (new function): " + one_line(complaint))
        if sha not in _compiled and len(_compiled) < _KEPT:
            _compiled[sha] = self._dump(script)
        return script

    def run(self, script: Any, sha: bytes, keys: list[bytes], argv: list[bytes]) -> Reply:
        """Run a compiled script; raises the error that it ends with."""
        ok, value = self._run(script, self._table(keys), self._table(argv))
        if self._crash is not None:  # a bug or a KeyboardInterrupt in a command is no error reply
            crash, self._crash = self._crash, None
            raise crash
        if ok:
            return self._reply(value)
        message, line = value[b"err"], value[b"line"]
        text = one_line(message if isinstance(message, bytes) else b"ERR unknown error")
        if line is not None:
            text += b" script: %b, on @user_script:%d." % (sha, line)
        raise ErrorReply(text)

    # From Lua to a command and back
    def _command(self, *words: Any) -> Any:
        """redis.call: Lua can catch an ErrorReply; any other exception ends the script."""
        if self._crash is not None:
            raise ErrorReply(b"ERR the script is being ended")
        try:
            reply = self._call(_argv(words))
        except ErrorReply:
            raise
        except BaseException as crash:
            self._crash = crash
            raise
        if type(reply) is bytes or type(reply) is int:
            return reply
        return self._to_lua(reply)

    def _protected_command(self, *words: Any) -> Any:
        """redis.pcall: an error is a value."""
        try:
            return self._command(*words)
        except ErrorReply as error:
            return self._table({b"err": error.text})

    def _to_lua(self, reply: Reply) -> Any:
        if reply is None:
            return False
        if isinstance(reply, Status):
            return self._table({b"ok": bytes(reply)})
        if isinstance(reply, (list, tuple)):
            return self._table([part if type(part) is bytes else self._to_lua(part) for part in reply])
        if isinstance(reply, ErrorReply):
            return self._table({b"err": reply.text})
        return reply

    # What a script returns
    def _reply(self, value: Any) -> Reply:
        if isinstance(value, (bytes, int)) and not isinstance(value, bool):
            return value
        if isinstance(value, float):
            return int(value) if -(2.0**63) <= value < 2.0**63 else -(2**63)
        if value is True:
            return 1
        return self._table_reply(value) if self._type(value) == "table" else None

    def _table_reply(self, table: Any) -> Reply:
        error = table[b"err"]
        if isinstance(error, bytes):
            return ErrorReply(one_line(error))
        status = table[b"ok"]
        if isinstance(status, bytes):
            return Status(one_line(status))
        double = table[b"double"]
        if isinstance(double, (int, float)):
            return b"%.17g" % double
        parts: list[Reply] = []
        while (value := table[len(parts) + 1]) is not None:
            parts.append(self._reply(value))
        return parts


def _argv(words: tuple[Any, ...]) -> list[bytes]:
    """The arguments of redis.call: strings, and numbers with all their digits."""
    if not words:
        raise ErrorReply(b"ERR Please specify at least one argument for this redis lib call")
    argv = list(words)
    for at, word in enumerate(words):
        if type(word) is not bytes:
            argv[at] = _print_number(word)
    return argv


def _print_number(word: Any) -> bytes:
    if type(word) is int and -(10**17) < word < 10**17:
        return b"%d" % word
    if type(word) is int or type(word) is float:
        return b"-nan" if math.isnan(word) else b"%.17g" % word
    raise ErrorReply(b"ERR Lua redis lib command arguments must be strings or integers")


def _no_attributes(_object: object, _name: object, _setting: bool) -> object:
    raise AttributeError("scripts cannot access Python objects")


def _sha1hex(*words: Any) -> bytes:
    if len(words) != 1:
        raise ErrorReply(b"ERR wrong number of arguments")
    text = words[0] if isinstance(words[0], bytes) else _argv(words)[0]
    return hashlib.sha1(text).hexdigest().encode()


def _text_of(problem: Any) -> bytes:
    """The text of a Python exception for the script that it passes through."""
    return problem.text if isinstance(problem, ErrorReply) else b"ERR " + repr(problem).encode()
