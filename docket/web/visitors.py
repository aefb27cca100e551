"""Who may look at a dashboard, and who may act there."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs

from ..errors import BadSetting
from .http import Request, Scope, request_of

__all__ = ["Authorize", "Basic", "Visitor", "anybody", "basic", "refusal_of"]


@attrs.frozen
class Visitor:
    """Somebody who may look. ``name`` stands in the log beside what they do; ``may_act``: they may change things."""

    name: str
    may_act: bool = True


Authorize: TypeAlias = Callable[[Scope], Visitor | Awaitable[Visitor | None] | None]
"""Given the ASGI scope of a request: who it is, or None for nobody."""


def anybody(scope: Scope) -> Visitor:
    """Let everybody look and act: for a dashboard behind something that has authorized them already."""
    del scope
    return Visitor("anybody")


@attrs.frozen
class Basic:
    """HTTP Basic authentication with one name and one password."""

    user: str
    password: str = attrs.field(repr=False)
    may_act: bool = True

    @property
    def challenge(self) -> bytes:
        return b'Basic realm="docket", charset="UTF-8"'

    def __call__(self, scope: Scope) -> Visitor | None:
        given = _credentials(request_of(scope))
        expected = f"{self.user}:{self.password}".encode()
        return Visitor(self.user, self.may_act) if hmac.compare_digest(given, expected) else None


def basic(user: str, password: str, *, may_act: bool = True) -> Basic:
    """Ask for a name and a password. Over plain HTTP they can be read on the way: put TLS in front.

    Raises: BadSetting (a ValueError) - one is empty, or the name has a colon.
    """
    if not user or ":" in user:
        raise BadSetting(f"user takes a name without a colon, not {user!r}")
    if not password:
        raise BadSetting("password may not be empty")
    return Basic(user, password, may_act)


def _credentials(request: Request) -> bytes:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def refusal_of(request: Request, origins: frozenset[str]) -> str | None:
    """Why a form may not have been sent from a page of this dashboard; None if it was.

    A browser says where a form comes from: by Sec-Fetch-Site over https and on localhost, else by Origin.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site == "same-origin" or (origin is not None and origin.lower() in origins):
        return None
    if site is not None:
        return f"the browser says that this form comes from elsewhere (Sec-Fetch-Site: {site})"
    host = request.headers.get("host", "")
    if origin is None:
        return "a form needs a Sec-Fetch-Site or Origin header, as every browser sends them"
    if origin.partition("://")[2].lower() == host.lower():
        return None
    return (
        f"this form comes from {origin}, and this is {host or 'a server without a name'}; behind a proxy that changes "
        "the Host header, name the first one in origins= (docket web --origin)"
    )
