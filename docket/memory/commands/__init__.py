"""The commands of the server in this process: each module fills a table, ``COMMANDS`` is all of them."""

from ..registry import Commands
from . import (
    admin,
    bits,
    generic,
    hashes,
    lists,
    pubsub,
    scripting,
    sets,
    sorted_set_ranges,
    sorted_sets,
    stream_claims,
    stream_groups,
    streams,
    strings,
    transactions,
)
from .transactions import discard_transaction

__all__ = ["COMMANDS", "discard_transaction"]

COMMANDS = Commands().merge(
    admin.commands,
    bits.commands,
    generic.commands,
    hashes.commands,
    lists.commands,
    pubsub.commands,
    scripting.commands,
    sets.commands,
    sorted_set_ranges.commands,
    sorted_sets.commands,
    stream_claims.commands,
    stream_groups.commands,
    streams.commands,
    strings.commands,
    transactions.commands,
)
