"""Settings that are changed at run time: a few rows, read as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["STATEMENTS", "SqlConfigurationReader", "SqlConfigurationRows"]

VALUES: Final = Statement(
    "configurations.values", "SELECT name, value FROM configurations WHERE name > '' ORDER BY name"
)
PUT: Final = Statement(
    "configurations.put",
    """
    INSERT INTO configurations (name, value, updated_at, updated_by) VALUES (:name, :value, {now}, :actor)
    ON CONFLICT (name) DO UPDATE
    SET value = excluded.value, updated_at = excluded.updated_at, updated_by = excluded.updated_by
    """,
)

STATEMENTS: Final = (VALUES, PUT)


class SqlConfigurationReader:
    """Implements :class:`entrepot.metadata.configuration_store.ConfigurationReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def values(self) -> Mapping[str, str]:
        """See the protocol."""
        return {str(name): str(value) for name, value in await self._executor.fetch_rows(VALUES)}


class SqlConfigurationRows:
    """Implements :class:`entrepot.metadata.configuration_store.ConfigurationRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def values(self) -> Mapping[str, str]:
        """See the protocol."""
        return {str(name): str(value) for name, value in await self._executor.fetch_rows(VALUES)}

    async def put(self, values: Mapping[str, str], actor: str) -> None:
        """See the protocol."""
        rows = [{"name": name, "value": values[name], "actor": actor} for name in sorted(values)]
        if rows:
            await self._executor.execute_many(PUT, rows)
