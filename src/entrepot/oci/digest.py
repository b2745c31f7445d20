"""Content digests (OCI image-spec, descriptor.md): parsed once at the edge, trusted inside (S33)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, Literal, Protocol, cast

import msgspec

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

__all__ = ["ALGORITHMS", "Algorithm", "Digest", "Hasher", "InvalidDigestError", "new_hasher"]

Algorithm = Literal["sha256", "sha512"]

ALGORITHMS: Final[tuple[Algorithm, ...]] = ("sha256", "sha512")
"""The registered algorithms; any other is refused, weak ones included."""

_PATTERN: Final = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z", re.ASCII)


_CONSTRUCTORS: Final[dict[Algorithm, Callable[[Buffer], Hasher]]] = {
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}


class InvalidDigestError(EntrepotError):
    """A text that claims to be a digest and is none."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "a digest is sha256:<64 lower-case hex digits> or sha512:<128 lower-case hex digits>"
        )
        self.text = text


class Hasher(Protocol):
    """What :mod:`hashlib` objects offer and this project uses."""

    def update(self, data: Buffer, /) -> None:
        """Take more bytes into account."""

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, in lower-case hexadecimal."""
        ...

    def copy(self) -> Hasher:
        """Return an independent hasher in the same state."""
        ...


def new_hasher(algorithm: Algorithm) -> Hasher:
    """Return a fresh hasher for `algorithm`."""
    return _CONSTRUCTORS[algorithm](b"")


class Digest(msgspec.Struct, frozen=True, order=True, gc=False):
    """An algorithm and the lower-case hexadecimal value it yields."""

    algorithm: Algorithm
    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `<algorithm>:<hex>`.

        Raises:
            InvalidDigestError: for anything but a canonical sha256 or sha512 digest.
        """
        if _PATTERN.match(text) is None:
            raise InvalidDigestError(text)
        algorithm, _, value = text.partition(":")
        return cls(cast("Algorithm", algorithm), value)

    @classmethod
    def of_bytes(cls, data: Buffer, algorithm: Algorithm = "sha256") -> Digest:
        """Return the digest of `data`."""
        return cls(algorithm, _CONSTRUCTORS[algorithm](data).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"
