"""The errors of the transport's own: each is one of redis-py's, and says more. Everybody gets them by `faults`."""

from __future__ import annotations

from redis.exceptions import AuthenticationError, ConnectionError

__all__ = ["ClientClosed", "NeverSent", "ProviderFailed", "ProviderRefused", "TlsRefused", "Unreachable"]


class NeverSent(ConnectionError):
    """The connection was lost before any byte of the request was sent; it may be repeated."""


class ClientClosed(ConnectionError):
    """The connection is lost because the client was closed, so there is no other one."""


class Unreachable(ConnectionError):
    """No connection could be made, so nothing was sent."""


class ProviderRefused(AuthenticationError):
    """The server refuses what a credential provider has answered; the provider may have another answer soon."""


class ProviderFailed(ConnectionError):
    """A credential provider has raised, or its answer is none; it may have one soon."""


class TlsRefused(ConnectionError):
    """Certificates or versions do not fit; trying again will not help."""
