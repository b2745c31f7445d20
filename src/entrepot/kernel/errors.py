"""The root of all domain errors, so that an edge can map every one of them and a test can list them."""

from __future__ import annotations

__all__ = ["EntrepotError"]


class EntrepotError(Exception):
    """Something the domain refuses or cannot do.

    Subclasses hold facts as attributes and say in one sentence what happened; they never hold an HTTP status or body,
    since the same error may reach a person through the command line.
    """
