"""The links of the chain: pure functions that the sealer and an offline verifier share.

A link is the hash of the link before it and of all that a record says, each part with its length in front, so that no
two different records give the same bytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ALGORITHM", "UnknownChainAlgorithmError", "chain_start", "link_hash"]

ALGORITHM: Final = "sha256"
"""How new links are made."""

_HASHES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "sha256": lambda content: hashlib.sha256(content).digest(),
}
_LINK: Final = b"entrepot audit link 1"
_START: Final = b"entrepot audit chain 1"


class UnknownChainAlgorithmError(EntrepotError):
    """A chain was made by a newer program, with an algorithm that this one does not know."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(f"the audit log is chained with {algorithm!r}, which this program does not know")
        self.algorithm = algorithm


def chain_start(algorithm: str, chain_id: str) -> str:
    """Return what the first link of a chain is made from: no other chain begins with it.

    Raises:
        UnknownChainAlgorithmError: this program is too old.
    """
    return _hash(algorithm, (_START, chain_id.encode()))


def link_hash(algorithm: str, previous: str, sequence: int, record_id: str, at: int, body: bytes) -> str:
    """Return the link of a record, hexadecimal; `previous` is the link before it, hexadecimal too.

    Raises:
        UnknownChainAlgorithmError: this program is too old.
    """
    parts = (_LINK, bytes.fromhex(previous), b"%d" % sequence, record_id.encode(), b"%d" % at, body)
    return _hash(algorithm, parts)


def _hash(algorithm: str, parts: tuple[bytes, ...]) -> str:
    known = _HASHES.get(algorithm)
    if known is None:
        raise UnknownChainAlgorithmError(algorithm)
    return known(b"".join([b"%d:%b" % (len(part), part) for part in parts])).hex()
