"""Imports structlog without rich, which it takes in wherever it finds it, for tracebacks that we print in no process.

The command line needs rich for its tables, so it is installed; but 0.3 s and 5 MB are much for a parent process that
writes JSON lines, and it stands between a start and the first answer.
"""

from __future__ import annotations

import importlib
import sys

__all__ = ["import_structlog"]


def import_structlog() -> None:
    """Import structlog; None in `sys.modules` makes its import of rich fail, as where rich is not installed."""
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # a documented value, unknown to the stubs
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]
