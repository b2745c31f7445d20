"""What is left of a robot's permissions when a project that they name is gone.

Robots keep them as JSON: `[{"kind": "project", "namespace": "team", "access": ["repository:pull"]}]`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from entrepot.auth.stored_permissions import UNREADABLE

__all__ = ["without_project"]


class _Entry(msgspec.Struct, frozen=True):
    kind: Literal["project", "system"]
    namespace: str
    access: tuple[str, ...]


def without_project(permissions: bytes, project: str) -> bytes | None:
    """Return permissions without those in a project; `None` when there are none.

    Those that can't be read permit nothing anywhere, and stay as they are.
    """
    try:
        entries = msgspec.json.decode(permissions, type=tuple[_Entry, ...])
    except UNREADABLE:
        return None
    kept = tuple(entry for entry in entries if (entry.kind, entry.namespace) != ("project", project))
    return None if len(kept) == len(entries) else msgspec.json.encode(kept)
