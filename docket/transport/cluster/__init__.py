"""Redis Cluster: a client that sends each command to the node that owns its key's slot."""

from .cluster import ClusterClient

__all__ = ["ClusterClient"]
