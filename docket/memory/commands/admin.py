"""Commands about the server and the connection."""

from __future__ import annotations

from ..arguments import SYNTAX, glob, integer
from ..core import Core
from ..registry import Commands
from ..replies import OK, ErrorReply, Reply, Status
from ..session import Session
from .transactions import discard_transaction

__all__ = ["VERSION", "commands"]

commands = Commands()

VERSION = b"7.0.15"
"""The release whose replies this server gives."""

CONFIG = {
    b"appendonly": b"no",
    b"databases": b"1",
    b"maxmemory": b"0",
    b"maxmemory-policy": b"noeviction",
    b"notify-keyspace-events": b"",
    b"save": b"",
}


@commands("PING", -1, "while-subscribed")
def ping(core: Core, argv: list[bytes]) -> Reply:
    if len(argv) > 2:
        raise ErrorReply(b"ERR wrong number of arguments for 'ping' command")
    if core.session.subscriptions:
        return [b"pong", argv[1] if len(argv) == 2 else b""]
    return argv[1] if len(argv) == 2 else Status(b"PONG")


@commands("ECHO", 2)
def echo(core: Core, argv: list[bytes]) -> Reply:
    return argv[1]


@commands("TIME", 1)
def time(core: Core, argv: list[bytes]) -> Reply:
    seconds, micros = divmod(core.micros, 1_000_000)
    return [b"%d" % seconds, b"%d" % micros]


@commands("SELECT", 2)
def select(core: Core, argv: list[bytes]) -> Reply:
    if integer(argv[1]):
        raise ErrorReply(b"ERR DB index is out of range")
    return OK


@commands("AUTH", -2, "noscript")
def auth(core: Core, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise ErrorReply(SYNTAX)
    if len(argv) == 2:
        raise ErrorReply(
            b"ERR AUTH <password> called without any password configured for the default user. "
            b"Are you sure your configuration is correct?"
        )
    if argv[1] != b"default":
        raise ErrorReply(b"WRONGPASS invalid username-password pair or user is disabled.")
    return OK


@commands("HELLO", -1, "noscript")
def hello(core: Core, argv: list[bytes]) -> Reply:
    if len(argv) > 1:
        version = integer(argv[1], b"ERR Protocol version is not an integer or out of range")
        if version != 2:
            raise ErrorReply(b"NOPROTO unsupported protocol version")
    words = iter(argv[2:])
    for word in words:
        option = word.upper()
        first, second = next(words, None), next(words, None) if option == b"AUTH" else b""
        if first is None or second is None or option not in (b"AUTH", b"SETNAME"):
            raise ErrorReply(b"ERR Syntax error in HELLO option '%b'" % word)
        if option == b"AUTH":
            auth(core, [b"AUTH", first, second])
        else:
            core.session.name = first
    return [
        b"server", b"redis",
        b"version", VERSION,
        b"proto", 2,
        b"id", core.session.number,
        b"mode", b"standalone",
        b"role", b"master",
        b"modules", [],
    ]  # fmt: skip


@commands("RESET", 1, "noscript", "immediate", "while-subscribed")
def reset(core: Core, argv: list[bytes]) -> Reply:
    discard_transaction(core, core.session)
    core.channels.forget(core.session)
    core.session.name = b""
    return Status(b"RESET")


@commands("QUIT", -1, "noscript", "immediate", "while-subscribed")
def quit_(core: Core, argv: list[bytes]) -> Reply:
    core.session.end()
    return OK


@commands("WAIT", 3, "noscript")
def wait(core: Core, argv: list[bytes]) -> Reply:
    integer(argv[1])
    if integer(argv[2], b"ERR timeout is not an integer or out of range") < 0:
        raise ErrorReply(b"ERR timeout is negative")
    return 0  # there are no replicas to wait for


@commands("INFO", -1)
def info(core: Core, argv: list[bytes]) -> Reply:
    keys = core.keys
    sections = {
        b"server": [b"redis_version:" + VERSION, b"redis_mode:standalone", b"server_name:docket-memory"],
        b"clients": [b"connected_clients:%d" % len(core.sessions)],
        b"persistence": [b"loading:0"],
        b"replication": [b"role:master", b"connected_slaves:0"],
        b"keyspace": [b"db0:keys=%d,expires=%d,avg_ttl=0" % (len(keys.values), len(keys.expires))]
        if keys.values
        else [],
    }
    wanted = {word.lower() for word in argv[1:]} or {b"default"}
    everything = wanted & {b"default", b"all", b"everything"}
    return b"\r\n".join(
        b"# %b\r\n%b" % (name.title(), b"".join(line + b"\r\n" for line in lines))
        for name, lines in sections.items()
        if everything or name in wanted
    )


@commands("CONFIG|GET", -3)
def config_get(core: Core, argv: list[bytes]) -> Reply:
    patterns = [glob(pattern.lower()) for pattern in argv[2:]]
    return [
        part
        for name, value in CONFIG.items()
        if any(pattern.fullmatch(name) for pattern in patterns)
        for part in (name, value)
    ]


@commands("COMMAND|DOCS", -2)
def command_docs(core: Core, argv: list[bytes]) -> Reply:
    return []


# CLIENT
def _describe(session: Session) -> bytes:
    return (
        b"id=%d addr=memory name=%b db=0 sub=%d psub=%d multi=%d watch=%d user=default resp=2 "
        b"lib-name=%b lib-ver=%b"
        % (
            session.number,
            session.name,
            len(session.channels),
            len(session.patterns),
            -1 if session.queue is None else len(session.queue),
            len(session.watching),
            session.library[b"LIB-NAME"],
            session.library[b"LIB-VER"],
        )
    )


@commands("CLIENT|ID", 2, "noscript")
def client_id(core: Core, argv: list[bytes]) -> Reply:
    return core.session.number


@commands("CLIENT|SETNAME", 3, "noscript")
def client_setname(core: Core, argv: list[bytes]) -> Reply:
    if any(not 33 <= char <= 126 for char in argv[2]):
        raise ErrorReply(b"ERR Client names cannot contain spaces, newlines or special characters.")
    core.session.name = argv[2]
    return OK


@commands("CLIENT|GETNAME", 2, "noscript")
def client_getname(core: Core, argv: list[bytes]) -> Reply:
    return core.session.name or None


@commands("CLIENT|SETINFO", 4, "noscript")
def client_setinfo(core: Core, argv: list[bytes]) -> Reply:
    if argv[2].upper() not in core.session.library:
        raise ErrorReply(b"ERR Unrecognized option '%b'" % argv[2])
    core.session.library[argv[2].upper()] = argv[3]
    return OK


@commands("CLIENT|INFO", 2, "noscript")
def client_info(core: Core, argv: list[bytes]) -> Reply:
    return _describe(core.session) + b"\n"


@commands("CLIENT|LIST", -2, "noscript")
def client_list(core: Core, argv: list[bytes]) -> Reply:
    chosen = dict(core.sessions)
    if len(argv) > 2:
        if len(argv) < 4 or argv[2].upper() != b"ID":
            raise ErrorReply(SYNTAX)
        numbers = {integer(text, b"ERR Invalid client ID") for text in argv[3:]}
        chosen = {number: session for number, session in chosen.items() if number in numbers}
    return b"".join(_describe(session) + b"\n" for session in chosen.values())


@commands("CLIENT|KILL", 4, "noscript")
def client_kill(core: Core, argv: list[bytes]) -> Reply:
    if argv[2].upper() != b"ID":
        raise ErrorReply(SYNTAX)
    session = core.sessions.get(integer(argv[3], b"ERR client-id should be greater than 0"))
    if session is None:
        return 0
    session.end()
    return 1


@commands("CLIENT|UNBLOCK", -3, "noscript")
def client_unblock(core: Core, argv: list[bytes]) -> Reply:
    if len(argv) > 4 or (len(argv) == 4 and argv[3].upper() != b"TIMEOUT"):
        raise ErrorReply(b"ERR CLIENT UNBLOCK reason should be TIMEOUT")
    session = core.sessions.get(integer(argv[2]))
    if session is None or session.unblock is None:
        return 0
    session.unblock()
    return 1


@commands("CLIENT|NO-EVICT CLIENT|NO-TOUCH", 3, "noscript")
def client_no_evict(core: Core, argv: list[bytes]) -> Reply:
    if argv[2].upper() not in (b"ON", b"OFF"):
        raise ErrorReply(SYNTAX)
    return OK
