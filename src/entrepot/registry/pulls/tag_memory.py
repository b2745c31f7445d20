"""Where tags pointed last, in a bounded number: a guess at which bytes a pull will need, never an answer."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from entrepot.oci.digest import Digest

__all__ = ["TagMemory"]

_CAPACITY: Final = 16_384
"""Some 6 MB when it is full of usual names."""


class TagMemory:
    """Digests by repository and tag; what was not pulled for longest is forgotten first."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._digests: OrderedDict[tuple[str, str], Digest] = OrderedDict()

    def get(self, repository: str, tag: str) -> Digest | None:
        """Return where the tag pointed when it was last pulled here, if that is remembered."""
        key = (repository, tag)
        digest = self._digests.get(key)
        if digest is not None:
            self._digests.move_to_end(key)
        return digest

    def put(self, repository: str, tag: str, digest: Digest) -> None:
        """Remember where the tag points now."""
        self._digests[repository, tag] = digest
        self._digests.move_to_end((repository, tag))
        if len(self._digests) > self._capacity:
            self._digests.popitem(last=False)
