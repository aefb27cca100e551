"""Publishing and subscribing."""

from __future__ import annotations

from ..arguments import glob
from ..core import Core
from ..registry import Commands
from ..replies import NO_REPLY, Reply

__all__ = ["commands"]

commands = Commands()


@commands("PUBLISH", 3)
def publish(core: Core, argv: list[bytes]) -> Reply:
    return core.channels.publish(argv[1], argv[2])


@commands("SUBSCRIBE", -2, "noscript", "while-subscribed")
def subscribe(core: Core, argv: list[bytes]) -> Reply:
    core.channels.subscribe(core.session, argv[1:])
    return NO_REPLY


@commands("PSUBSCRIBE", -2, "noscript", "while-subscribed")
def psubscribe(core: Core, argv: list[bytes]) -> Reply:
    core.channels.psubscribe(core.session, argv[1:])
    return NO_REPLY


@commands("UNSUBSCRIBE", -1, "noscript", "while-subscribed")
def unsubscribe(core: Core, argv: list[bytes]) -> Reply:
    core.channels.unsubscribe(core.session, argv[1:])
    return NO_REPLY


@commands("PUNSUBSCRIBE", -1, "noscript", "while-subscribed")
def punsubscribe(core: Core, argv: list[bytes]) -> Reply:
    core.channels.punsubscribe(core.session, argv[1:])
    return NO_REPLY


@commands("PUBSUB|CHANNELS", -2)
def pubsub_channels(core: Core, argv: list[bytes]) -> Reply:
    matches = glob(argv[2] if len(argv) > 2 else b"*").fullmatch
    return [name for name in list(core.channels.by_name) if matches(name)]


@commands("PUBSUB|NUMSUB", -2)
def pubsub_numsub(core: Core, argv: list[bytes]) -> Reply:
    return [part for name in argv[2:] for part in (name, len(core.channels.by_name.get(name, ())))]


@commands("PUBSUB|NUMPAT", 2)
def pubsub_numpat(core: Core, argv: list[bytes]) -> Reply:
    return len(core.channels.by_pattern)
