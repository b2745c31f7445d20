"""Immutable bytes by digest, verified once, in a bounded amount of memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from entrepot.oci.digest import Digest

__all__ = ["MOST_BYTES", "ContentCache"]

MOST_BYTES: Final = 64 * 1024
"""Of one content: longer ones are rare, and each would drive out many usual ones."""
_ENTRY_OVERHEAD_BYTES: Final = 512
"""Roughly what a key, its digest object and the bookkeeping cost beside the content."""


class ContentCache:
    """Least-recently-used bytes by digest. Only content that was hashed may be put in, and nothing mutable."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._used_bytes = 0
        self._entries: OrderedDict[Digest, bytes] = OrderedDict()

    def get(self, digest: Digest) -> bytes | None:
        """Return the content, or `None` when it is not here."""
        content = self._entries.get(digest)
        if content is not None:
            self._entries.move_to_end(digest)
        return content

    def put(self, digest: Digest, content: bytes) -> None:
        """Keep verified content unless it is too long, giving up what was not asked for longest."""
        cost = len(content) + _ENTRY_OVERHEAD_BYTES
        if digest in self._entries or len(content) > MOST_BYTES or cost > self._capacity_bytes:
            return
        self._entries[digest] = content
        self._used_bytes += cost
        while self._used_bytes > self._capacity_bytes:
            _, dropped = self._entries.popitem(last=False)
            self._used_bytes -= len(dropped) + _ENTRY_OVERHEAD_BYTES

    @property
    def used_bytes(self) -> int:
        """Memory taken, an estimate."""
        return self._used_bytes
