"""Commands to Redis over anyio: one client for every kind of server, on asyncio, uvloop and trio alike.

redis-py's command methods, replies, errors and URLs; our own streams and connections, many callers on one of
them.
"""

from docket.transport.client import Client
from docket.transport.connection import Connection
from docket.transport.lock import Lock
from docket.transport.pipeline import Pipeline
from docket.transport.pubsub import Message, PubSub
from docket.transport.resp import Argument, Reply
from docket.transport.scripts import Lua, Script, ScriptCall
from docket.transport.stream import Stream
from docket.transport.tail import HELD, Entry, Tail, entry_number
from docket.transport.url import SCHEMES, Address, parse

__all__ = [
    "HELD",
    "SCHEMES",
    "Address",
    "Argument",
    "Client",
    "Connection",
    "Entry",
    "Lock",
    "Lua",
    "Message",
    "Pipeline",
    "PubSub",
    "Reply",
    "Script",
    "ScriptCall",
    "Stream",
    "Tail",
    "entry_number",
    "parse",
]
