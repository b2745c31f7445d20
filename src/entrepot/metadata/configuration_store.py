"""The protocols of settings that are changed at run time; only those that were ever changed have a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ConfigurationReader", "ConfigurationRows"]


class ConfigurationReader(Protocol):
    """What was set. Each call is one statement."""

    async def values(self) -> Mapping[str, str]:
        """Return the texts by name."""
        ...


class ConfigurationRows(Protocol):
    """Settings within a unit."""

    async def values(self) -> Mapping[str, str]:
        """Return the texts by name."""
        ...

    async def put(self, values: Mapping[str, str], actor: str) -> None:
        """Set texts by name."""
