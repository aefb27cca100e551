"""How a payload was written, as it says itself: what people see of it without a key, and without opening anything."""

from __future__ import annotations

from ..values import frozen
from .foreign import text
from .others import SEALED, key_id_of
from .tags import PICKLE, split

__all__ = ["Written", "written_of"]


@frozen
class Written:
    """By which serializer, and the ids of the keys by which it is signed and with which it is sealed; None for none.

    Nobody has checked it.
    """

    serializer: str = PICKLE
    signed_by: str | None = None
    sealed_by: str | None = None

    @property
    def words(self) -> str:
        """For people: ``json, signed by 1f0c77aa``; empty for a plain pickle."""
        sealed = self.serializer if self.sealed_by is None else f"{self.serializer} with {self.sealed_by}"
        signed = "" if self.signed_by is None else f"signed by {self.signed_by}"
        return ", ".join(filter(None, ["" if sealed == PICKLE and not signed else sealed, signed]))


_PLAIN = Written()


def written_of(payload: bytes | None) -> Written:
    """What a payload says; of one that is not there, or says nothing that can be read, that of a plain pickle."""
    try:
        body, tag = split(payload or b"")
    except ValueError:
        return _PLAIN
    serializer = text(tag.serializer)
    sealed = key_id_of(body).hex() if serializer.startswith(SEALED) else ""
    return Written(serializer, text(tag.key_id) or None, sealed or None)
