"""What bytes in pieces are called, wherever they come from and wherever they go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

__all__ = ["ChunkSink"]

ChunkSink: TypeAlias = Callable[[Sequence[bytes | memoryview]], None]
"""Takes chunks, in order and on a thread, and keeps none of them: their memory is used again.

What it raises is raised by whoever calls it.
"""
