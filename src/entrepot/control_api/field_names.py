"""Harbor's clients write the same field as `project_id`, `ProjectID` or `projectId`; all of them mean one."""

from __future__ import annotations

__all__ = ["plain_field_name"]


def plain_field_name(name: str) -> str:
    """Return a name without underscores and in lower case, by which lists of allowed fields are keyed."""
    return name.replace("_", "").lower()
