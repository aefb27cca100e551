"""Server URLs: text in, an ``Address`` out. Whatever cannot be served is refused here, by name.

Syntax and option names are redis-py's, so one URL serves both. Nothing here does I/O.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from ..errors import BadUrl
from ..text import readable
from ..values import frozen

__all__ = ["SCHEMES", "Address", "TlsOptions", "parse"]

#: Every scheme that is served, in the order in which messages list them.
SCHEMES = (
    "redis", "rediss", "unix", "valkey", "valkeys", "memory",
    "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel",
)  # fmt: skip

_CLUSTER = ("redis+cluster", "rediss+cluster")
_SENTINEL = ("redis+sentinel", "rediss+sentinel")
_SECURE = ("rediss", "valkeys", "rediss+cluster", "rediss+sentinel")

_REDIS_PORT, _SENTINEL_PORT = 6379, 26379

#: Matches anything; urlsplit would take several hosts for one, and their ports for a bad one.
_PARTS = re.compile(r"([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)

#: Options of redis-py for its pool or its retries. They are accepted, so that a URL can be shared, but have no effect.
_WITHOUT_EFFECT = frozenset(
    [
        "health_check_interval",
        "retry_on_timeout",
        "retry_on_error",
        "socket_read_size",
        "timeout",
        "legacy_responses",
    ]
)


@frozen(kw_only=True)
class TlsOptions:
    """The ``ssl_*`` options; `tls.make_context` makes an ``ssl.SSLContext`` of them."""

    cert_reqs: ssl.VerifyMode = ssl.CERT_REQUIRED
    ca_certs: str | None = None
    ca_path: str | None = None
    ca_data: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    check_hostname: bool = True
    min_version: ssl.TLSVersion | None = None
    ciphers: str | None = None


@frozen(kw_only=True)
class Address:
    """Where a server is and how to greet it. Times are in seconds; ``socket_timeout`` may be ``math.inf``."""

    scheme: str
    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    memory: str | None = None
    #: Whether a server in this process stays when nobody uses it any more.
    keep: bool = False
    db: int = 0
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    client_name: str | None = None
    socket_timeout: float = 30.0
    connect_timeout: float = 10.0
    keepalive: bool = True
    max_connections: int = 100
    tls: TlsOptions | None = None
    #: The nodes of a cluster to ask first, or the sentinels; then ``host`` and ``port`` have no meaning.
    hosts: tuple[tuple[str, int], ...] = ()
    #: The sentinels' name for the servers whose master is wanted.
    service: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = attrs.field(default=None, repr=False)

    @property
    def is_cluster(self) -> bool:
        """Whether ``hosts`` are nodes of a cluster."""
        return self.scheme in _CLUSTER

    def at(self, host: str, port: int) -> Address:
        """The address of one server out of several, with the same credentials and options."""
        scheme = "redis" if self.tls is None else "rediss"
        return attrs.evolve(self, scheme=scheme, host=host, port=port, hosts=(), service=None)

    def sentinel(self, host: str, port: int) -> Address:
        """The address of one of the sentinels, which have users and passwords of their own."""
        return attrs.evolve(
            self.at(host, port),
            db=0,
            username=self.sentinel_username,
            password=self.sentinel_password,
            client_name=None,
        )

    def __str__(self) -> str:
        """The server's name for messages: ``host:port``, the socket's path or ``memory://name``; no secrets."""
        if self.memory is not None:
            return f"memory://{self.memory}"
        if self.path is not None:
            return self.path
        if not self.hosts:
            return _spelled(self.host, self.port)
        hosts = ", ".join(_spelled(host, port) for host, port in self.hosts)
        return f"the cluster of {hosts}" if self.service is None else f"{self.service!r} of sentinel {hosts}"


def _spelled(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _integer(text: str, least: int = 0) -> int:
    value = int(text)
    if value < least:
        raise ValueError(text)
    return value


def _database_number(text: str) -> int:
    if len(text) > 9:
        raise ValueError(text)
    return _integer(text)


def _positive(text: str) -> int:
    return _integer(text, 1)


def _seconds(text: str) -> float:
    if text.lower() == "none":
        return math.inf
    value = float(text)
    if not value > 0:
        raise ValueError(text)
    return value


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("1", "true", "t", "yes", "y", "on"):
        return True
    if lowered in ("0", "false", "f", "no", "n", "off"):
        return False
    raise ValueError(text)


def _flag(text: str) -> bool:
    return not text or _boolean(text)


def _verify_mode(text: str) -> ssl.VerifyMode:
    return {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}[text.lower()]


def _tls_version(text: str) -> ssl.TLSVersion:
    plain = text.upper().removeprefix("TLSV").replace("_", ".")
    if plain in ("1.2", "1.3"):
        return {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[plain]
    version = ssl.TLSVersion(int(text))  # redis-py takes the number of the enumeration
    if version not in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        raise ValueError(text)
    return version


def _protocol(text: str) -> int:
    return {"2": 2, "3": 3}[text]


def _false(text: str) -> bool:
    if _boolean(text):
        raise ValueError(text)
    return False


#: option -> (attribute, or None if it has no effect; parser; the values that it takes)
_Rule = tuple[str | None, Callable[[str], object], str]

_OPTIONS: dict[str, _Rule] = {
    "db": ("db", _database_number, "the number of a database, 0 or more"),
    "username": ("username", str, "text"),
    "password": ("password", str, "text"),
    "client_name": ("client_name", str, "text"),
    "socket_timeout": ("socket_timeout", _seconds, "seconds, more than 0, or none"),
    "socket_connect_timeout": ("connect_timeout", _seconds, "seconds, more than 0, or none"),
    "socket_keepalive": ("keepalive", _boolean, "true or false"),
    "max_connections": ("max_connections", _positive, "a number, 1 or more"),
    # RESP3 has other shapes of replies, which redis-py converts back into those of RESP2: so RESP2 serves both.
    "protocol": (None, _protocol, "2 or 3"),
    "decode_responses": (None, _false, "false: replies are always bytes here"),
}

_MEMORY_OPTIONS: dict[str, _Rule] = {"keep": ("keep", _flag, "true or false")}

_SENTINEL_OPTIONS: dict[str, _Rule] = {
    "sentinel_username": ("sentinel_username", str, "text"),
    "sentinel_password": ("sentinel_password", str, "text"),
}

_TLS_OPTIONS: dict[str, _Rule] = {
    "ssl_cert_reqs": ("cert_reqs", _verify_mode, "none, optional or required"),
    "ssl_ca_certs": ("ca_certs", str, "the path of a file"),
    "ssl_ca_path": ("ca_path", str, "the path of a folder"),
    "ssl_ca_data": ("ca_data", str, "certificates in PEM"),
    "ssl_certfile": ("certfile", str, "the path of a file"),
    "ssl_keyfile": ("keyfile", str, "the path of a file"),
    "ssl_password": ("password", str, "text"),
    "ssl_check_hostname": ("check_hostname", _boolean, "true or false"),
    "ssl_min_version": ("min_version", _tls_version, "TLSv1.2 or TLSv1.3"),
    "ssl_ciphers": ("ciphers", str, "a list of OpenSSL's"),
}

_TABLES = (_OPTIONS, _TLS_OPTIONS, _SENTINEL_OPTIONS, _MEMORY_OPTIONS)


def parse(url: str) -> Address:
    """Read a server URL.

    Raises: BadUrl - the scheme, the port, an option or its value is not supported; the message names it and what is
            accepted, and never repeats a password.
    Source: https://redis.readthedocs.io/en/stable/connections.html (``from_url``)
    """
    address = _read(url)
    for name in ("username", "password", "client_name", "service", "sentinel_username", "sentinel_password"):
        if not _is_text(getattr(address, name) or ""):
            raise BadUrl(f"Bad {address.scheme}:// URL: the {name} has a character that UTF-8 cannot hold")
    for host in (address.host, *(host for host, _ in address.hosts)):
        if not _is_host(host):
            raise BadUrl(f"Bad {address.scheme}:// URL: {readable(repr(host))} cannot be the name of a host")
    return address


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_host(host: str) -> bool:
    """Whether a resolver takes it. Python encodes it as IDNA first, which loads much for names that are not ASCII."""
    if host.isascii():
        return "\0" not in host and all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def _read(url: str) -> Address:
    scheme, rest = _scheme(url)
    if scheme in _CLUSTER or scheme in _SENTINEL:
        return _several(scheme, rest)
    if scheme != "memory" and "," in re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]:
        raise BadUrl(
            f"Bad {scheme}:// URL: several hosts are served by redis+sentinel:// and redis+cluster:// only"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its text may quote the network location, with the password
        raise _no_port(scheme) from None
    if port == 0:
        raise _no_port(scheme)
    options, tls_options = _options(scheme, parts.query)
    fields: dict[str, object] = {"scheme": scheme, **options}
    if scheme in _SECURE:
        fields["tls"] = TlsOptions(**tls_options)  # pyright: ignore[reportArgumentType] - parsed by the table
    if parts.username:
        fields["username"] = unquote(parts.username)
    if parts.password:
        fields["password"] = unquote(parts.password)
    if scheme == "memory":
        fields["memory"] = unquote(parts.netloc.rpartition("@")[2] + parts.path)
    elif scheme == "unix":
        if not parts.path:
            raise BadUrl("Bad unix:// URL: the path of the socket is missing, as in unix:///run/redis.sock")
        fields["path"] = unquote(parts.path)
    else:
        fields["host"] = unquote(parts.hostname or "localhost")
        fields["port"] = port or _REDIS_PORT
        if "db" not in options:
            fields["db"] = _database(scheme, unquote(parts.path).replace("/", ""))
    return Address(**fields)  # pyright: ignore[reportArgumentType] - parsed by the table


def _scheme(url: str) -> tuple[str, str]:
    """The scheme, in lower case, and what follows it; BadUrl where there is none that we know."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in SCHEMES:
        # Without "://" the text may be anything, also a password: do not repeat it.
        named = f"unknown scheme {scheme}://" if separator else "there is no scheme"
        if scheme.count("+") > 1:
            named += " (servers are reached through a cluster or through sentinels, not both)"
        raise BadUrl(f"Bad server URL: {named}; accepted are {_listed()}")
    if "://" in rest.partition("?")[0]:
        raise BadUrl(
            f"Bad {scheme}:// URL: one scheme stands in front of all hosts, which commas separate, "
            "as in redis+sentinel://a:26379,b:26379/service"
        )
    return scheme, rest


def _several(scheme: str, rest: str) -> Address:
    """Read what follows the scheme where there may be several hosts: a cluster's nodes, or sentinels."""
    authority, path, query = _PARTS.fullmatch(rest).groups("")  # pyright: ignore[reportOptionalMemberAccess]
    options, tls_options = _options(scheme, query)
    fields: dict[str, object] = {"scheme": scheme, **options}
    if scheme in _SECURE:
        fields["tls"] = TlsOptions(**tls_options)  # pyright: ignore[reportArgumentType] - parsed by the table
    credentials, _, hosts = authority.rpartition("@")
    username, _, password = credentials.partition(":")
    if username:
        fields["username"] = unquote(username)
    if password:
        fields["password"] = unquote(password)
    default = _SENTINEL_PORT if scheme in _SENTINEL else _REDIS_PORT
    if not hosts:
        raise BadUrl(f"Bad {scheme}:// URL: there is no host; write {_model(scheme)}")
    fields["hosts"] = tuple(_host_and_port(scheme, host, default) for host in hosts.split(","))
    words = [unquote(word) for word in path.strip("/").split("/")] if path.strip("/") else []
    if scheme in _SENTINEL:
        if not words:
            raise BadUrl(f"Bad {scheme}:// URL: the name of the service is missing; write {_model(scheme)}")
        fields["service"] = words.pop(0)
    if len(words) > 1:
        raise BadUrl(f"Bad {scheme}:// URL: the path is too long; write {_model(scheme)}")
    if words and "db" not in options:
        fields["db"] = _database(scheme, words[0])
    if scheme in _CLUSTER and fields.get("db"):
        raise BadUrl(f"Bad {scheme}:// URL: a cluster has database 0 only; write {_model(scheme)}")
    return Address(**fields)  # pyright: ignore[reportArgumentType] - parsed by the table


def _host_and_port(scheme: str, text: str, default: int) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^\[\]:]+))(?::(\d*))?", text)
    port = int(found[3] or default) if found else 0
    if not found or not 0 < port < 65536:  # a text that is no host may be a password
        raise _no_port(scheme)
    return unquote(found[1] or found[2]), port


def _no_port(scheme: str) -> BadUrl:
    return BadUrl(f"Bad {scheme}:// URL: host and port cannot be read; a port is 1 to 65535")


def _model(scheme: str) -> str:
    if scheme in _CLUSTER:
        return f"{scheme}://[user:password@]host[:6379][,host...]"
    return f"{scheme}://[user:password@]host[:26379][,host...]/service[/db]"


def _listed() -> str:
    return ", ".join(f"{scheme}://" for scheme in SCHEMES)


def _database(scheme: str, text: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or len(text) > 9:
        raise BadUrl(f"Bad {scheme}:// URL: the path is the number of a database, not {text!r}")
    return int(text)


def _options(scheme: str, query: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    plain: dict[str, object] = {}
    secure: dict[str, object] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in _WITHOUT_EFFECT:
            continue
        rule = next((table[name] for table in _TABLES if name in table), None)
        if rule is None:
            raise BadUrl(f"Bad {scheme}:// URL: unknown option {name!r}; known are {', '.join(_known())}")
        if name in _SENTINEL_OPTIONS and scheme not in _SENTINEL:
            raise BadUrl(f"Bad {scheme}:// URL: option {name!r} needs redis+sentinel://")
        if name in _MEMORY_OPTIONS and scheme != "memory":
            raise BadUrl(f"Bad {scheme}:// URL: option {name!r} needs memory://")
        if name in _TLS_OPTIONS and scheme not in _SECURE:
            raise BadUrl(f"Bad {scheme}:// URL: option {name!r} needs {_secure(scheme)}://")
        attribute, read, takes = rule
        try:
            value = read(text)
        except (ValueError, KeyError):
            raise BadUrl(f"Bad {scheme}:// URL: option {name!r} takes {takes}") from None
        if attribute is not None:
            (secure if name in _TLS_OPTIONS else plain)[attribute] = value
    return plain, secure


def _known() -> list[str]:
    return sorted({*_WITHOUT_EFFECT}.union(*_TABLES))


def _secure(scheme: str) -> str:
    kind, plus, rest = scheme.partition("+")
    return f"{'valkeys' if kind == 'valkey' else 'rediss'}{plus}{rest}"
