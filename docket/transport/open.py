"""From a URL to the client that serves it: of one server, of a cluster, or of the master behind sentinels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .client import Client
from .connector import Connector
from .resp import Argument
from .url import parse

if TYPE_CHECKING:
    from redis.credentials import CredentialProvider

__all__ = ["from_url"]


def from_url(
    url: str,
    *,
    credential_provider: CredentialProvider | None = None,
    client_name: str | None = None,
    home: Argument = "",
) -> Client:
    """Make a client; needs no running event loop and does not connect.

    ``client_name`` is used where the URL names none (CLIENT SETNAME). ``home`` is a key: on a cluster the owner of
    its slot serves whatever names no key (pub/sub, dedicated connections).

    Raises: BadUrl (a ValueError) - the URL names no server that can be served; BadSetting (one, too) - credentials in
            the URL and a provider as well.
    """
    address = parse(url)
    if client_name is not None and address.client_name is None:
        address = attrs.evolve(address, client_name=client_name)
    # Imported when first needed: most programs use neither.
    if address.is_cluster:
        from .cluster import ClusterClient

        return ClusterClient(Connector(address, credential_provider), home)
    if address.service is not None:
        from .sentinel import SentinelClient, SentinelConnector

        return SentinelClient(SentinelConnector(address, credential_provider))
    return Client(Connector(address, credential_provider))


Client.from_url = staticmethod(from_url)
