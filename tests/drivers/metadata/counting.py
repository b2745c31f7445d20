"""Counts what a store does, for tests whose point is how little that is."""

from __future__ import annotations

import threading
from collections import Counter

__all__ = ["CountingObserver"]


class CountingObserver:
    """Implements `StatementObserver`; called on several threads."""

    def __init__(self) -> None:
        self.statements: Counter[str] = Counter()
        self.commits = 0
        self._lock = threading.Lock()

    def statement(self, name: str) -> None:
        """Count a statement."""
        with self._lock:
            self.statements[name] += 1

    def commit(self) -> None:
        """Count a commit."""
        with self._lock:
            self.commits += 1

    def reset(self) -> None:
        """Begin at nothing again."""
        with self._lock:
            self.statements.clear()
            self.commits = 0
