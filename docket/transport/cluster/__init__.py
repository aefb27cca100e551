"""A client of Redis Cluster."""
