"""The server behind ``memory://``: Redis in this process, enough of it for docket and its users.

A synchronous core runs commands and Lua scripts; byte streams to it look like sockets to a connection. Servers have
names, are shared by all threads and event loops of the process, and end with their last `Hold`. Commands that are not
implemented are refused by name.
"""

from .servers import Hold, hold
from .stream import MemoryStream, open_stream

__all__ = ["Hold", "MemoryStream", "hold", "open_stream"]
