"""Who may keep an answer (RFC 9111): a header per kind of answer, made once.

No answer may be kept by a cache that several people share, such as a proxy: it would hand one user's images to another
and would go on serving what was deleted. nginx obeys `private` and `no-store` unless it is told to ignore them, also
under a `proxy_cache_valid` that names a lifetime.
"""

from __future__ import annotations

from typing import Final, TypeAlias

__all__ = ["IMMUTABLE", "NOT_STORED", "REVALIDATED", "Header"]

Header: TypeAlias = tuple[bytes, bytes]

NOT_STORED: Final[Header] = (b"cache-control", b"no-store")
"""What changes or belongs to one moment: lists, upload sessions, errors, addresses that expire. The default."""

REVALIDATED: Final[Header] = (b"cache-control", b"private, no-cache")
"""What a tag names: the client may keep it, and asks with its ETag whether the tag still names it."""

IMMUTABLE: Final[Header] = (b"cache-control", b"private, max-age=31536000, immutable")
"""What a digest names: the client may keep it, and it can't change."""
