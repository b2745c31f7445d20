"""Everything that the management API could have changed, as it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.integration.control_api.matrix.stage import Stage

__all__ = ["TABLES", "stored"]

TABLES: Final = (
    *("subjects", "users", "user_groups", "group_members", "robots", "access_tokens", "roles"),
    *("role_assignments", "projects", "project_metadata", "labels", "repositories", "configurations"),
)
_BY_CHANCE: Final = ("_at", "_hash", "public_id", "creator", "updated_by")
"""Ends of the names of columns that differ from run to run, whatever is written."""
_TOLD: Final = frozenset({"disabled_at", "deleted_at"})


async def stored(stage: Stage) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table, without what differs from run to run."""
    return {table: await _rows(stage, table) for table in TABLES}


async def _rows(stage: Stage, table: str) -> list[dict[str, Any]]:
    columns = [row[1] for row in await stage.database.fetch(f"PRAGMA table_info({table})")]
    return [
        {
            name: value
            for name, value in zip(columns, row, strict=True)
            if name in _TOLD or not name.endswith(_BY_CHANCE)
        }
        for row in await stage.database.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")
    ]
