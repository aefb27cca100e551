"""Which errors of a server mean that it is away for a time, so that trying again may help."""

from __future__ import annotations

from typing import TypeGuard

from ..rules import is_a
from ..standins import redis_errors
from .errors import faults

__all__ = ["is_outage", "is_wrong_user"]

#: Error replies of a server that cannot execute commands now. They do not mean that the command was wrong.
_REFUSALS = (
    "BUSY ", "LOADING", "MISCONF", "NOGROUP", "NOREPLICAS", "OOM", "READONLY", "UNBLOCKED", "max number of clients",
    "Script killed by user",  # it ran for too long, and had written nothing
    "The stream has exhausted the last possible ID",  # somebody has written an entry with that one
)  # fmt: skip

#: The same of a script: the key is of a slot on its way to another node of a cluster. What stands around that depends
#: on the server, and on whether the script has caught it.
_ON_ITS_WAY = "ttempted to access a non local key"


def is_outage(error: BaseException) -> bool:
    """Whether the server is lost or refuses for a time. False for a refused user, and for a bug of ours."""
    if is_wrong_user(error):
        return False
    lost = (redis_errors.ConnectionError, redis_errors.TimeoutError)
    # For these redis-py has classes; their text lacks the first word.
    refused = (redis_errors.ReadOnlyError, redis_errors.OutOfMemoryError)
    moving = (redis_errors.ClusterDownError, redis_errors.TryAgainError)
    if isinstance(error, (*lost, *refused, *moving)):
        return True
    if not isinstance(error, redis_errors.ResponseError):
        return False
    text = str(error)
    return text.startswith(_REFUSALS) or _ON_ITS_WAY in text


def is_wrong_user(
    error: BaseException,
) -> TypeGuard[redis_errors.AuthenticationError | redis_errors.AuthorizationError]:
    """Whether the server wants another user or password, and there is no credential provider to ask again."""
    refused = (redis_errors.AuthenticationError, redis_errors.AuthorizationError)
    return is_a(error, refused) and not is_a(error, faults.ProviderRefused)
