"""The server behind ``memory://``: Redis in this process, enough of it for docket and its users.

A synchronous core runs commands and Lua scripts; byte streams to it look like sockets to a connection. Servers have
names, are shared by all threads and event loops of the process, and end with their last `Hold`. Commands that are not
implemented are refused by name. A script may be sent with a twin, Python that does the same on the keys themselves
(`Inside`).
"""

from .inside import LEFT_TO_LUA, Inside, LeftToLua, Script, Twin
from .replies import ErrorReply, Reply
from .servers import Hold, hold
from .stream import MemoryStream, open_stream
from .stream_values import Group, StreamValue, print_id
from .values import Hash, Set, SortedSet

__all__ = [
    "LEFT_TO_LUA",
    "ErrorReply",
    "Group",
    "Hash",
    "Hold",
    "Inside",
    "LeftToLua",
    "MemoryStream",
    "Reply",
    "Script",
    "Set",
    "SortedSet",
    "StreamValue",
    "Twin",
    "hold",
    "open_stream",
    "print_id",
]
