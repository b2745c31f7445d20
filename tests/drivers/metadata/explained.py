"""How PostgreSQL runs a statement: by the plan of a prepared one, as the product's are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from entrepot.metadata.sql.statements import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from entrepot.metadata.sql.statements import Statement, Value

__all__ = ["explain", "index_names", "node_types", "touched_pages"]


async def explain(
    connection: asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record],
    statement: Statement,
    values: Mapping[str, Value],
) -> Any:
    """Run a statement, and return its plan with counts.

    An EXPLAIN that takes the parameters itself is planned for their values, whatever `plan_cache_mode` says.
    """
    rendered = render(statement, "postgresql")
    given = ", ".join(map(_literal, rendered.arguments(values)))
    await connection.execute(f"PREPARE explained AS {rendered.sql}")
    ((text,),) = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained({given})")
    await connection.execute("DEALLOCATE explained")
    return json.loads(text)[0]["Plan"]


def touched_pages(plan: Mapping[str, Any]) -> int:
    """Return how many pages of the database were touched."""
    found: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return found


def node_types(plan: Mapping[str, Any]) -> list[str]:
    """Return what each step of a plan is."""
    return [str(step["Node Type"]) for step in _steps(plan)]


def index_names(plan: Mapping[str, Any]) -> set[str]:
    """Return which indexes a plan uses."""
    return {str(step["Index Name"]) for step in _steps(plan) if "Index Name" in step}


def _steps(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _steps(below)


def _literal(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return rf"'\x{value.hex()}'"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
