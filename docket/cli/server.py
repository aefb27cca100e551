"""How a command reaches its docket: the options that name it, and the errors when it cannot be reached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from ..errors import BadUrl, UsageError
from .errors import CommandFailed
from .logs import warn_on_stderr
from .loops import check_backend, run_on
from .options import Reader, option, url

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["DEFAULT_URL", "DocketName", "KeyFile", "ServerUrl", "server_url", "signing", "with_docket"]

T = TypeVar("T")

DEFAULT_URL = "redis://localhost:6379/0"


def _server_url(text: str) -> str:
    read, _ = url
    if text.partition(":")[0].strip().lower() == "memory":
        raise BadUrl("memory:// is a server within one process; no other command can see it")
    return read(text)


#: The URL of a server that other processes can reach.
server_url: Reader = (_server_url, url[1])

DocketName = Annotated[str, Parameter(name="--docket", env_var="DOCKET_NAME")]
KeyFile = Annotated[Path | None, Parameter(name="--signing-key-file", env_var="DOCKET_SIGNING_KEYS_FILE")]
ServerUrl = Annotated[str, option("--url", server_url, "DOCKET_URL")]


def signing(key_file: Path | None) -> dict[str, Any]:
    """The settings of a docket whose keys are in a file, if they are. Raises: BadSetting - they are not."""
    if key_file is None:
        return {}
    from ..client import read_key_file

    return {"signing_keys": read_key_file(key_file)}


def with_docket(
    act: Callable[[Docket], Awaitable[T]], *, docket: str, url: str, backend: str, **settings: Any
) -> T:
    """Open a docket on an event loop of its own, call ``act`` with it, and return the result.

    ``settings`` are more of the docket's.

    Nothing on the docket is unpickled: it could run code in the shell of the user who looks at it.
    Raises: UsageError - the settings, the user or the password are wrong; CommandFailed - the server cannot be
            reached, or refuses.
    """
    from redis.exceptions import (
        AuthenticationError,
        AuthorizationError,
        ConnectionError,
        OutOfMemoryError,
        RedisError,
    )

    from ..docket import Docket

    check_backend(backend)
    warn_on_stderr()

    async def opened() -> T:
        async with Docket(name=docket, url=url, **settings) as found:
            found.strike_list.trust_nobody()
            return await act(found)

    try:
        return run_on(backend, opened)
    except (AuthenticationError, AuthorizationError) as error:
        raise UsageError(f"--url: the server refuses the user or the password: {error}") from error
    except (ConnectionError, TimeoutError) as error:
        raise CommandFailed(str(error)) from error
    except OutOfMemoryError as error:
        raise CommandFailed(
            f"the memory of the server is full, so that it refuses what adds to it: {error}"
        ) from error
    except RedisError as error:
        raise CommandFailed(f"the server refuses: {error}") from error
