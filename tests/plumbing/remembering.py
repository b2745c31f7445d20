"""Two tables of the product that never change are worked out once per run, not once per store and per command.

A process of the product opens one store and reads its settings once; the tests do both by the thousand, in one process.
Translating the catalogue of statements was more than half of the processor time of the tests of the metadata store,
and the types of the settings a seventh of that of commands. What is kept is what the product itself returned.
"""

from __future__ import annotations

import functools
import typing
from typing import Any

from entrepot.metadata.sql import statements
from entrepot.settings.section import Section

__all__ = ["pytest_configure", "remember"]

_hints_of = functools.cache(typing.get_type_hints)


def pytest_configure() -> None:
    """Remember from here on."""
    remember()


def remember() -> None:
    """Do so in a process that opens stores by the hundred."""
    statements.render = functools.cache(statements.render)
    typing.get_type_hints = _get_type_hints


@functools.wraps(typing.get_type_hints)
def _get_type_hints(obj: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
    if isinstance(obj, type) and issubclass(obj, Section):
        return _hints_of(obj, *arguments, **options).copy()
    return _hints_of.__wrapped__(obj, *arguments, **options)
