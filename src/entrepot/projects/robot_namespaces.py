"""Which projects a robot's permissions name, and what is left of them when one of these projects is gone.

Robots keep them as JSON: `[{"kind": "project", "namespace": "team", "access": ["repository:pull"]}]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

__all__ = ["RobotSight", "sight_of", "without_project"]

_EVERY_PROJECT: Final = "*"
_READ: Final = "project:read"


class _Entry(msgspec.Struct, frozen=True):
    kind: Literal["project", "system"]
    namespace: str
    access: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RobotSight:
    """Which projects a robot may read: some by name, or all."""

    names: frozenset[str] = field(default_factory=frozenset[str])
    everything: bool = False


def sight_of(permissions: bytes) -> RobotSight:
    """Return which projects a robot with these permissions may read."""
    entries = msgspec.json.decode(permissions, type=tuple[_Entry, ...])
    names = {entry.namespace for entry in entries if entry.kind == "project" and _READ in entry.access}
    return RobotSight(frozenset(names - {_EVERY_PROJECT}), everything=_EVERY_PROJECT in names)


def without_project(permissions: bytes, project: str) -> bytes | None:
    """Return permissions without those in a project; `None` when there are none."""
    entries = msgspec.json.decode(permissions, type=tuple[_Entry, ...])
    kept = tuple(entry for entry in entries if (entry.kind, entry.namespace) != ("project", project))
    return None if len(kept) == len(entries) else msgspec.json.encode(kept)
