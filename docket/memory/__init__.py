"""The server behind ``memory://``: Redis in this process, enough of it for docket and its users.

A synchronous core that runs commands and Lua scripts; byte streams to it that look like sockets to a
connection. Servers go by name, are shared by all threads and event loops of the process, and end with the
last who holds them. Commands it does not know are refused by name.
"""

from .hosts import Hold, hold
from .stream import MemoryStream, open_stream

__all__ = ["Hold", "MemoryStream", "hold", "open_stream"]
