"""The dashboard: what is on a docket, in a browser. It uses only what users of a `Docket` see."""

from .boards import Boards
from .dashboard import Dashboard
from .http import Scope
from .serving import OnlyHosts, Serveable, bind, is_loopback, serve
from .visitors import Visitor, anybody, basic

__all__ = [
    "Boards",
    "Dashboard",
    "OnlyHosts",
    "Scope",
    "Serveable",
    "Visitor",
    "anybody",
    "basic",
    "bind",
    "is_loopback",
    "serve",
]
