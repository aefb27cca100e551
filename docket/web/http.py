"""Requests and answers as ASGI has them, and what every answer says for the safety of who reads it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qs, quote, urlencode

import attrs

__all__ = [
    "SECURITY",
    "BadForm",
    "Form",
    "Gone",
    "Receive",
    "Request",
    "Response",
    "Scope",
    "Send",
    "TooLarge",
    "address",
    "read_form",
    "request_of",
    "respond",
]

Scope: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[MutableMapping[str, Any]]]"
Send: TypeAlias = "Callable[[MutableMapping[str, Any]], Awaitable[None]]"
Form: TypeAlias = "Mapping[str, Sequence[str]]"

MOST_BYTES, MOST_FIELDS = 65_536, 1000
"""Of the body of a form."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types docket"
)
SECURITY: Sequence[tuple[bytes, bytes]] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class BadForm(Exception):
    """A body that is no form."""


class TooLarge(Exception):
    """A body of more than `MOST_BYTES`, or with more than `MOST_FIELDS`."""


class Gone(Exception):
    """The client left before it had sent its request."""


@attrs.frozen(kw_only=True)
class Request:
    """``page`` is the path below the place where the application is mounted, without slashes around it.

    ``target`` is the path as the client wrote it, if that is known.
    """

    method: str
    page: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    target: str = ""

    @property
    def wants_json(self) -> bool:
        accepts = self.headers.get("accept", "").partition(",")[0].partition(";")[0].strip().lower()
        return self.query.get("format") == "json" or accepts == "application/json"


@attrs.frozen(kw_only=True)
class Response:
    body: bytes = b""
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    headers: Sequence[tuple[bytes, bytes]] = ()
    cache: bytes = b"no-store"


def request_of(scope: Scope) -> Request:
    """Read the head of a request. Of a header, and of a name in the query, that comes twice the last one counts."""
    query = parse_qs(
        scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True, errors="replace"
    )
    return Request(
        method=scope["method"],
        page=_below_the_mount(scope).strip("/"),
        query={name: values[-1] for name, values in query.items()},
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        target=_target(scope),
    )


def _below_the_mount(scope: Scope) -> str:
    """Frameworks differ: by the ASGI specification ``path`` begins with ``root_path``, for some it does not."""
    path, root = scope["path"], scope.get("root_path") or ""
    return path[len(root) :] if root and (path == root or path.startswith(f"{root.rstrip('/')}/")) else path


def _target(scope: Scope) -> str:
    raw = scope.get("raw_path")
    return raw.partition(b"?")[0].decode("latin-1") if isinstance(raw, bytes) else ""


def address(page: str, /, **query: str | int | None) -> str:
    """A relative link: pages are one level deep, so it is right wherever the application is mounted."""
    said = urlencode(
        {name: value for name, value in query.items() if value not in (None, "")}, quote_via=quote
    )
    return f"{page or './'}?{said}" if said else page or "./"


async def read_form(request: Request, receive: Receive) -> Form:
    """The fields of a form. Raises: TooLarge; BadForm; Gone."""
    body = b""
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MOST_BYTES:
        raise TooLarge
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise TooLarge
        if not message.get("more_body"):
            break
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/x-www-form-urlencoded":
        raise BadForm
    if body.count(b"&") >= MOST_FIELDS:
        raise TooLarge
    return parse_qs(body.decode("latin-1"), keep_blank_values=True, errors="replace")


async def respond(send: Send, response: Response, *, with_body: bool = True) -> None:
    """Send a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [
                (b"content-type", response.kind.encode("latin-1")),
                (b"content-length", str(len(response.body)).encode()),
                (b"cache-control", response.cache),
                *SECURITY,
                *response.headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": response.body if with_body else b""})
