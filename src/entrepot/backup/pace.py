"""Keeps long copying from taking more of a disk or line than it was given."""

from __future__ import annotations

import asyncio

__all__ = ["Pace"]


class Pace:
    """Lets bytes through at a rate, on average over all tasks that share it; without a rate it never waits."""

    def __init__(self, bytes_per_second: int | None) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0

    async def pass_through(self, count: int) -> None:
        """Wait until `count` more bytes fit into the rate."""
        if not self._rate:
            return
        now = asyncio.get_running_loop().time()
        begins = max(now, self._free_at)
        self._free_at = begins + count / self._rate
        if begins > now:
            await asyncio.sleep(begins - now)
