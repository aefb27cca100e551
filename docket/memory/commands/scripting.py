"""EVAL, EVALSHA and SCRIPT."""

from __future__ import annotations

from ..arguments import integer
from ..core import Core
from ..registry import Commands
from ..replies import OK, ErrorReply, Reply

__all__ = ["commands"]

commands = Commands()


def _run(core: Core, argv: list[bytes], sha: bytes | None) -> Reply:
    count = integer(argv[2])
    if count > len(argv) - 3:
        raise ErrorReply(b"ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise ErrorReply(b"ERR Number of keys can't be negative")
    if sha is None:
        sha = core.scripts.load(argv[1])
    elif sha not in core.scripts:
        raise ErrorReply(b"NOSCRIPT No matching script. Please use EVAL.")
    read_only = argv[0][-3:].upper() == b"_RO"
    nested, core.nested = core.nested, True
    try:
        return core.scripts.run(sha, argv[3 : 3 + count], argv[3 + count :], read_only=read_only)
    finally:
        core.nested = nested


@commands("EVAL EVAL_RO", -3, "noscript")
def eval_(core: Core, argv: list[bytes]) -> Reply:
    return _run(core, argv, None)


@commands("EVALSHA EVALSHA_RO", -3, "noscript")
def evalsha(core: Core, argv: list[bytes]) -> Reply:
    return _run(core, argv, argv[1].lower())


@commands("SCRIPT|LOAD", 3, "noscript")
def script_load(core: Core, argv: list[bytes]) -> Reply:
    return core.scripts.load(argv[2])


@commands("SCRIPT|EXISTS", -3, "noscript")
def script_exists(core: Core, argv: list[bytes]) -> Reply:
    return [int(sha.lower() in core.scripts) for sha in argv[2:]]


@commands("SCRIPT|FLUSH", -2, "noscript")
def script_flush(core: Core, argv: list[bytes]) -> Reply:
    if len(argv) > 3 or (len(argv) == 3 and argv[2].upper() not in (b"SYNC", b"ASYNC")):
        raise ErrorReply(b"ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    core.scripts.flush()
    return OK
