"""Commands to Redis over anyio: one client for every kind of server, on asyncio, uvloop and trio alike.

Command methods, replies, errors and URLs are redis-py's; streams and connections are our own, and many callers share
one connection.
"""

from .client import Client
from .connection import Connection
from .disruptions import is_outage, is_wrong_user
from .errors import faults
from .methods import with_command_methods
from .open import from_url
from .pubsub import Published, PubSub
from .resp import Apart, Argument, Reply, apart
from .scripts import Lua, Script, ScriptCall
from .stream import Stream
from .subscriptions import KEPT, Subscription, Subscriptions
from .tail import HELD, Entry, Tail, entry_number
from .url import SCHEMES, Address, parse
from .waiting import Backend, current_backend

__all__ = [
    "HELD",
    "KEPT",
    "SCHEMES",
    "Address",
    "Apart",
    "Argument",
    "Backend",
    "Client",
    "Connection",
    "Entry",
    "Lua",
    "PubSub",
    "Published",
    "Reply",
    "Script",
    "ScriptCall",
    "Stream",
    "Subscription",
    "Subscriptions",
    "Tail",
    "apart",
    "current_backend",
    "entry_number",
    "faults",
    "from_url",
    "is_outage",
    "is_wrong_user",
    "parse",
    "with_command_methods",
]
