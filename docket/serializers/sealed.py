"""A serializer that encrypts what another one writes, for those who fear readers: AES-GCM, with keys that rotate."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..errors import BadSetting, Untrusted
from ..store import SEALED, About, Serializer, key_id_of, sealed_head

__all__ = ["LEAST_KEY", "Sealed", "SealedOtherwise"]

#: How many bytes a key has at least.
LEAST_KEY = 16

_ID, _GENERATION, _NONCE = 4, 8, 12
_HEAD = len(sealed_head(bytes(_ID))) + _GENERATION + _NONCE


class SealedOtherwise(Untrusted, ValueError):
    """It is sealed with a key that is not here, was changed, or belongs to another task, key or docket."""


class _Cipher(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


class Sealed:
    """A serializer that encrypts what another one writes: ``Sealed("json", keys=[newest, older])``.

    ``keys`` are bytes, or text, of at least 16 bytes, best `secrets.token_bytes(32)`: the first seals, all open. So a
    key is replaced without a gap: first it is added behind the others everywhere, then put first, at last the old one
    is left out. What is sealed belongs to its docket, task and key, a result also to its generation: elsewhere it does
    not open. Names of tasks and keys are not sealed, nor is progress. Of a failure only the type of its error is kept
    where anybody reads it, unless ``show_errors``; who awaits the result gets all of it.

    Its name is that of the inner serializer behind ``sealed:``.

    Raises: ModuleNotFoundError - cryptography is not installed (the extra ``sealed``), or as the inner serializer;
    BadSetting (a ValueError) - no key, a key that is too short, given twice or no bytes.
    """

    def __init__(
        self, serializer: object = "json", *, keys: Sequence[bytes | str], show_errors: bool = False
    ) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "sealing needs cryptography; pip install 'anydocket[sealed]'", name="cryptography"
            ) from None
        from .choosing import written_by

        self.inner: Serializer = written_by(serializer)
        if isinstance(self.inner, Sealed):
            raise BadSetting("Sealed seals what another serializer writes, not what is sealed already")
        self.name = f"{SEALED}{self.inner.name}"
        self.show_errors = show_errors
        self._cipher: Callable[[bytes], _Cipher] = AESGCM
        self._broken: type[Exception] = InvalidTag
        self._keys = _checked(keys)
        self._newest = next(iter(self._keys))

    def __repr__(self) -> str:
        return f"<{self.name} by {', '.join(self.key_ids)}>"

    @property
    def key_ids(self) -> list[str]:
        """The ids of its keys, the newest first; they tell nothing of these."""
        return [key_id.hex() for key_id in self._keys]

    @property
    def key_id(self) -> bytes:
        """The id of the key that seals."""
        return self._newest

    def dumps(self, value: Any, about: About) -> bytes:
        """Raises: as the inner serializer."""
        inner = self.inner.dumps(value, about)
        place, nonce = _place(about), os.urandom(_NONCE)
        cipher = self._cipher_for(self._newest, place)
        head = sealed_head(self._newest) + about.generation.to_bytes(_GENERATION) + nonce
        return head + cipher.encrypt(nonce, inner, head + place + about.kind.encode())

    def loads(self, payload: bytes, about: About) -> Any:
        """Raises: SealedOtherwise (a ValueError); as the inner serializer."""
        key_id = _key_id_of(payload)
        if key_id not in self._keys:
            raise SealedOtherwise(f"it is sealed with the key {key_id.hex()}, which is not here")
        head, place = payload[:_HEAD], _place(about)
        cipher = self._cipher_for(key_id, place)
        try:
            inner = cipher.decrypt(head[-_NONCE:], payload[_HEAD:], head + place + about.kind.encode())
        except self._broken:
            raise SealedOtherwise(
                "what is sealed was changed, or belongs to another docket, task or key"
            ) from None
        # A retry counts the generation up, which who awaits the result may not know.
        if int.from_bytes(head[-_NONCE - _GENERATION : -_NONCE]) < about.generation:
            raise SealedOtherwise("what is sealed belongs to an earlier run of this key")
        return self.inner.loads(inner, about)

    def _cipher_for(self, key_id: bytes, place: bytes) -> _Cipher:
        # A key of its own for each task key: so random nonces of 96 bits serve for any number of messages (NIST
        # SP 800-38D allows 2**32 for one key).
        return self._cipher(hmac.digest(self._keys[key_id], b"docket seals\0" + place, "sha256"))


def _key_id_of(payload: bytes) -> bytes:
    key_id = key_id_of(payload)
    if not key_id or len(payload) <= _HEAD:
        raise SealedOtherwise("it is not sealed")
    return key_id


def _place(about: About) -> bytes:
    """What it belongs to. Each name has its length before it, so that no two places are written alike."""
    names = [name.encode() for name in (about.docket, about.task, about.key)]
    return b"".join(len(name).to_bytes(4) + name for name in names)


def _checked(keys: Sequence[bytes | str]) -> dict[bytes, bytes]:
    """The keys by their ids, in their order."""
    if isinstance(keys, bytes | str) or not keys:
        raise BadSetting("keys= takes a list of keys, the newest first, at least one")
    checked: dict[bytes, bytes] = {}
    for number, key in enumerate(keys, 1):
        secret = key.encode() if isinstance(key, str) else key
        if not isinstance(secret, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadSetting(f"key {number} of keys= is {type(secret).__name__}, not bytes or text")
        if len(secret) < LEAST_KEY:
            raise BadSetting(
                f"key {number} of keys= has {len(secret)} bytes, and a key has at least {LEAST_KEY}: make one by "
                "secrets.token_bytes(32)"
            )
        key_id = hashlib.sha256(b"docket key id\0" + secret).digest()[:_ID]
        if key_id in checked:
            raise BadSetting(f"key {number} of keys= is given twice")
        checked[key_id] = secret
    return checked
