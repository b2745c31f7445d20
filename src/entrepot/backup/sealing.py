"""How objects of an encrypted repository are sealed: in segments, so that memory stays constant, and tamper-evident.

An object is a header (magic, format, 32 random bytes) and segments of up to 1 MiB, each followed by its tag. Every
object has a key of its own, derived from the repository's key, the random bytes and what the object is (its context),
so that no nonce is ever used twice with a key and no object can stand in for another. The nonce of a segment counts
them and marks the last one (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015): a segment that is
missing, doubled, swapped or cut off is found.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from entrepot.backup.errors import BackupDamagedError
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KEY_BYTES", "Cipher", "PlainCipher", "SealingCipher", "Transform", "derive_key"]

KEY_BYTES: Final = 32
_MAGIC: Final = b"EPSEAL\x00\x01"
_SALT_BYTES: Final = 32
_TAG_BYTES: Final = 16
_SEGMENT_BYTES: Final = 1024 * 1024
_HEADER_BYTES: Final = len(_MAGIC) + _SALT_BYTES


class Transform(Protocol):
    """Bytes in, other bytes out, in any number of steps. Blocks, so it runs on a thread."""

    def update(self, chunk: bytes) -> list[bytes]:
        """Take more bytes and return those that are finished."""
        ...

    def finish(self) -> list[bytes]:
        """Return the rest.

        Raises:
            BackupDamagedError: what came in was not what had been written.
        """
        ...


class Cipher(Protocol):
    """How one repository turns contents into objects."""

    def seal(self, context: str) -> Transform:
        """Return what makes an object of the content that `context` names."""
        ...

    def unseal(self, context: str) -> Transform:
        """Return what gives the content back."""
        ...

    def stored_bytes(self, size_bytes: int) -> int:
        """Return the size of the object that a content of `size_bytes` becomes."""
        ...

    def name_of(self, digest: Digest) -> Digest:
        """Return the name under which a blob lies."""
        ...


class PlainCipher:
    """Objects are their contents, and blobs lie under their digests: a copy anybody can read and check."""

    def seal(self, context: str) -> Transform:
        """Change nothing."""
        del context
        return _Identity()

    def unseal(self, context: str) -> Transform:
        """Change nothing."""
        del context
        return _Identity()

    def stored_bytes(self, size_bytes: int) -> int:
        """Return the same size."""
        return size_bytes

    def name_of(self, digest: Digest) -> Digest:
        """Return the digest."""
        return digest


class SealingCipher:
    """Objects are sealed with AES-256-GCM, and the names of blobs tell nothing of their digests."""

    def __init__(self, key: bytes) -> None:
        """Take the repository's key, of :data:`KEY_BYTES` bytes."""
        self._content_key = derive_key(key, b"", b"entrepot backup: contents")
        self._name_key = derive_key(key, b"", b"entrepot backup: names")

    def seal(self, context: str) -> Transform:
        """Seal under a fresh key."""
        return _Sealing(self._content_key, context)

    def unseal(self, context: str) -> Transform:
        """Open what was sealed with the same context."""
        return _Unsealing(self._content_key, context)

    def stored_bytes(self, size_bytes: int) -> int:
        """Return the size with the header and a tag per segment; nothing has one segment, too."""
        segments = max(1, -(-size_bytes // _SEGMENT_BYTES))
        return _HEADER_BYTES + size_bytes + segments * _TAG_BYTES

    def name_of(self, digest: Digest) -> Digest:
        """Return an HMAC-SHA-256 of the digest."""
        return Digest("sha256", hmac.digest(self._name_key, str(digest).encode(), "sha256").hex())


def derive_key(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    """Return a key of 32 bytes for one purpose (HKDF-SHA-256, RFC 5869, with one block of output)."""
    extracted = hmac.digest(salt or bytes(hashlib.sha256().digest_size), key, "sha256")
    return hmac.digest(extracted, purpose + b"\x01", "sha256")


class _Identity:
    def update(self, chunk: bytes) -> list[bytes]:
        return [chunk] if chunk else []

    def finish(self) -> list[bytes]:
        return []


class _Segments:
    """Cuts bytes into segments and keeps back the one that may be the last."""

    def __init__(self, segment_bytes: int) -> None:
        self._segment_bytes = segment_bytes
        self._waiting = bytearray()
        self.number = 0

    def cut(self, chunk: bytes) -> Iterator[bytes]:
        """Yield segments after which there is certainly something."""
        self._waiting += chunk
        while len(self._waiting) > self._segment_bytes:
            segment = bytes(self._waiting[: self._segment_bytes])
            del self._waiting[: self._segment_bytes]
            yield segment

    def rest(self) -> bytes:
        """Return the last segment."""
        return bytes(self._waiting)

    def nonce(self, *, last: bool) -> bytes:
        """Return the next segment's nonce."""
        number = self.number
        self.number += 1
        return number.to_bytes(11, "big") + bytes([last])


class _Sealing:
    def __init__(self, content_key: bytes, context: str) -> None:
        salt = os.urandom(_SALT_BYTES)
        self._header = _MAGIC + salt
        self._aead = AESGCM(derive_key(content_key, salt, context.encode()))
        self._segments = _Segments(_SEGMENT_BYTES)

    def update(self, chunk: bytes) -> list[bytes]:
        pieces = [self._seal(segment, last=False) for segment in self._segments.cut(chunk)]
        return self._with_header(pieces) if pieces else []

    def finish(self) -> list[bytes]:
        return self._with_header([self._seal(self._segments.rest(), last=True)])

    def _seal(self, segment: bytes, *, last: bool) -> bytes:
        return self._aead.encrypt(self._segments.nonce(last=last), segment, None)

    def _with_header(self, pieces: list[bytes]) -> list[bytes]:
        header, self._header = self._header, b""
        return [header, *pieces] if header else pieces


class _Unsealing:
    def __init__(self, content_key: bytes, context: str) -> None:
        self._content_key = content_key
        self._context = context
        self._header = b""
        self._aead: AESGCM | None = None
        self._segments = _Segments(_SEGMENT_BYTES + _TAG_BYTES)

    def update(self, chunk: bytes) -> list[bytes]:
        if self._aead is None:
            chunk = self._take_header(chunk)
        return [self._open(segment, last=False) for segment in self._segments.cut(chunk)]

    def finish(self) -> list[bytes]:
        rest = self._open(self._segments.rest(), last=True)
        return [rest] if rest else []

    def _take_header(self, chunk: bytes) -> bytes:
        """Collect the header and return what follows it."""
        wanted = _HEADER_BYTES - len(self._header)
        self._header += chunk[:wanted]
        if len(self._header) == _HEADER_BYTES:
            if not self._header.startswith(_MAGIC):
                raise BackupDamagedError(self._context, "it does not begin as a sealed object does")
            salt = self._header[len(_MAGIC) :]
            self._aead = AESGCM(derive_key(self._content_key, salt, self._context.encode()))
        return chunk[wanted:]

    def _open(self, segment: bytes, *, last: bool) -> bytes:
        if self._aead is None:
            raise BackupDamagedError(self._context, "it is shorter than any sealed object")
        try:
            return self._aead.decrypt(self._segments.nonce(last=last), segment, None)
        except InvalidTag as error:
            where = f"segment {self._segments.number} is not what was sealed, or not there"
            raise BackupDamagedError(self._context, where) from error
