"""Distributed background tasks for Python functions on Redis Streams, on asyncio and trio."""

__version__ = "0.1.0"
