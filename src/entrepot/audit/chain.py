"""The links of the chain: pure functions that the sealer and an offline verifier share.

A link is the hash of the link before it and of all that a record says, each part with its length in front, so that no
two different records give the same bytes.
"""

from __future__ import annotations

import hashlib
from typing import Final

from entrepot.kernel.errors import EntrepotError

__all__ = ["ALGORITHM", "NoLinkError", "UnknownChainAlgorithmError", "chain_start", "link_hash"]

ALGORITHM: Final = "sha256"
"""How new links are made."""

_HASHES: Final = {"sha256": hashlib.sha256}
_START: Final = b"22:entrepot audit chain 1%d:%b"
_LINK: Final = b"21:entrepot audit link 1%d:%b%d:%b%d:%b%d:%b%d:%b"
"""Each part with its length in front, those that never change as they are."""


class UnknownChainAlgorithmError(EntrepotError):
    """A chain was made by a newer program, with an algorithm that this one does not know."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(f"the audit log is chained with {algorithm!r}, which this program does not know")
        self.algorithm = algorithm


class NoLinkError(EntrepotError, ValueError):
    """What the chain goes on from is no link: somebody changed it in the database."""

    def __init__(self) -> None:
        super().__init__(
            "what the chain of the audit log goes on from is no link, so somebody changed it: run entrepot audit "
            "verify --database"
        )


def chain_start(algorithm: str, chain_id: str) -> str:
    """Return what the first link of a chain is made from: no other chain begins with it.

    Raises:
        UnknownChainAlgorithmError: this program is too old.
    """
    name = chain_id.encode()
    return _hash(algorithm, _START % (len(name), name))


def link_hash(algorithm: str, previous: str, sequence: int, record_id: str, at: int, body: bytes) -> str:
    """Return the link of a record, hexadecimal; `previous` is the link before it, hexadecimal too.

    Raises:
        UnknownChainAlgorithmError: this program is too old.
        NoLinkError: `previous` is none.
    """
    try:
        link = bytes.fromhex(previous)
    except ValueError as error:
        raise NoLinkError from error
    number, name, time = b"%d" % sequence, record_id.encode(), b"%d" % at
    parts = len(link), link, len(number), number, len(name), name, len(time), time, len(body), body
    return _hash(algorithm, _LINK % parts)


def _hash(algorithm: str, content: bytes) -> str:
    known = _HASHES.get(algorithm)
    if known is None:
        raise UnknownChainAlgorithmError(algorithm)
    return known(content).hexdigest()
