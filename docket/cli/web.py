"""``docket web``: serves the dashboard of one docket, or of several."""

from __future__ import annotations

import importlib.util
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import UsageError
from . import logs
from .at import DEFAULT_URL, NO_TRUST, ServerUrl, TrustOptions
from .loops import Backend, check_backend, run_on
from .options import each, integer, option, path
from .paths import check_paths

if TYPE_CHECKING:
    from ..web import Serveable

__all__ = ["web"]

PASSWORD = "DOCKET_WEB_PASSWORD"

Tasks = Annotated[tuple[str, ...], each("--tasks", path("a collection of tasks"), "DOCKET_TASKS")]
Names = Annotated[tuple[str, ...], Parameter(name="--docket", env_var="DOCKET_NAME", negative=())]
Host = Annotated[str, Parameter(name="--host", env_var="DOCKET_WEB_HOST")]
Port = Annotated[int, option("--port", integer(0, 65535), "DOCKET_WEB_PORT")]
User = Annotated[str, Parameter(name="--user", env_var="DOCKET_WEB_USER")]
PasswordFile = Annotated[Path | None, Parameter(name="--password-file", env_var="DOCKET_WEB_PASSWORD_FILE")]
NoPassword = Annotated[bool, Parameter(name="--no-password", negative=())]
ReadOnly = Annotated[bool, Parameter(name="--read-only", negative=())]
Origins = Annotated[tuple[str, ...], Parameter(name="--origin", env_var="DOCKET_WEB_ORIGINS", negative=())]
Hosts = Annotated[
    tuple[str, ...], Parameter(name="--allow-host", env_var="DOCKET_WEB_ALLOW_HOSTS", negative=())
]


def web(
    *,
    docket: Names = ("docket",),
    url: ServerUrl = DEFAULT_URL,
    host: Host = "127.0.0.1",
    port: Port = 8085,
    user: User = "docket",
    password_file: PasswordFile = None,
    no_password: NoPassword = False,
    read_only: ReadOnly = False,
    tasks: Tasks = ("docket.tasks:standard_tasks",),
    origin: Origins = (),
    allow_host: Hosts = (),
    trust: TrustOptions = NO_TRUST,
    backend: Backend = "asyncio",
) -> None:
    """Serve a dashboard, until SIGTERM or SIGINT.

    The password is in the variable DOCKET_WEB_PASSWORD or in a file. Without one it listens on this machine alone,
    and everybody here may look and act.

    Parameters
    ----------
    docket
        The name of the docket; may be repeated.
    url
        The server of the docket.
    host
        The address to listen on. Any but this machine's own needs a password.
    port
        The port to listen on; 0 for any that is free.
    user
        The name that belongs to the password.
    password_file
        A file with the password, in its first line.
    no_password
        Ask nobody for a password, wherever it listens: something in front of it does.
    read_only
        Let nobody change anything.
    tasks
        A collection of tasks to register, module:name of an iterable of functions; may be repeated. Of their
        arguments those are shown that are marked with Logged and are plain values.
    origin
        An address that forms may come from besides the server's own, like https://ops.example.org, for a proxy that
        changes the Host header; may be repeated.
    allow_host
        A name to answer to besides localhost, where there is no password; may be repeated.
    backend
        The event loop: asyncio, uvloop or trio.
    """
    check_backend(backend)
    check_paths({"--tasks": tasks})
    password = _password(password_file)
    if importlib.util.find_spec("hypercorn") is None:
        raise UsageError("docket web needs hypercorn: pip install 'anydocket[web]'")

    from ..docket import Docket
    from ..web import Boards, Dashboard, OnlyHosts, anybody, basic, bind, is_loopback, serve

    if no_password and password is not None:
        raise UsageError(
            f"--no-password, and yet there is one in {PASSWORD} or --password-file: give one of them"
        )
    if password is None and not no_password and not is_loopback(host):
        raise UsageError(
            f"--host {host} can be reached from elsewhere: set {PASSWORD} or --password-file, or --no-password where "
            "something in front of it asks for one"
        )

    settings = trust.settings()
    dashboards: list[Dashboard] = []
    for name in dict.fromkeys(docket):
        opened = Docket(name, url, **settings)
        opened.strike_list.trust_nobody()
        for collection in tasks:
            opened.register_collection(collection)
        authorize = anybody if password is None else basic(user, password)
        home = "../" if len(docket) > 1 else None
        dashboards.append(
            Dashboard(opened, authorize=authorize, read_only=read_only, origins=origin, home=home)
        )
    app: Serveable = dashboards[0] if len(dashboards) == 1 else Boards(dashboards)
    if password is None:
        app = OnlyHosts(app, {name.lower() for name in allow_host})
    listening = bind(host, port)
    logs.configure("INFO", logs.default_format())

    shown, served = f"[{host}]" if ":" in host else host, listening.getsockname()[1]

    def tell() -> None:
        print(f"Serving http://{shown}:{served}/", flush=True)

    library = "trio" if backend == "trio" else "asyncio"
    run_on(backend, partial(serve, app, listening, backend=library, ready=tell))


def _password(file: Path | None) -> str | None:
    """The password, if there is one. Raises: UsageError - the file cannot be read, or is empty."""
    if file is None:
        return os.environ.get(PASSWORD) or None
    try:
        first, *_ = [*file.read_text(encoding="utf-8").splitlines(), ""]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--password-file cannot be read: {error}") from error
    if not first:
        raise UsageError(f"--password-file {file} has no password in its first line")
    return first
