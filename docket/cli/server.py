"""How a command reaches its docket, and the errors when it cannot be reached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import UsageError
from .at import At
from .errors import CommandFailed
from .logs import warn_on_stderr
from .loops import check_backend, run_on

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["with_docket"]

T = TypeVar("T")


def with_docket(act: Callable[[Docket], Awaitable[T]], at: At, **settings: Any) -> T:
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

    check_backend(at.backend)
    warn_on_stderr()
    settings |= at.settings()

    async def opened() -> T:
        async with Docket(name=at.docket, url=at.url, **settings) as found:
            found.strike_list.trust_nobody()
            return await act(found)

    try:
        return run_on(at.backend, opened)
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
