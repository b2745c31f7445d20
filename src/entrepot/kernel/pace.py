"""Keeps long reading and copying from taking a disk or line away from pushes and pulls."""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["Pace"]

_SAVED_SECONDS: Final = 1.0
"""What was not used for longer than this is lost: after a pause nobody reads for minutes at full speed."""


class Pace:
    """Lets through so many bytes a second, shared by all tasks that ask."""

    def __init__(self, bytes_per_second: int | None) -> None:
        """Take the rate; 0 or none is without limit."""
        self._bytes_per_second = bytes_per_second or 0
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        """Return once `count` more bytes may be read."""
        if self._bytes_per_second == 0:
            return
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - _SAVED_SECONDS) + count / self._bytes_per_second
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
