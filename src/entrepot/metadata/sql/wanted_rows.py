"""The condition by which listings take any of several names, and what was made within given times."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from entrepot.metadata.list_filters import WantedRows
    from entrepot.metadata.sql.statements import Value

__all__ = ["wanted_condition", "wanted_values"]


def wanted_condition(name: str, made: str) -> str:
    """Return the condition on two columns; its parameters are those of :func:`wanted_values`."""
    return f"(:any_name = 1 OR {name} IN {{texts:wanted_names}}) AND {made} BETWEEN :made_from AND :made_upto"


def wanted_values(wanted: WantedRows) -> dict[str, Value]:
    """Return the parameters of :func:`wanted_condition`."""
    return {
        "any_name": int(not wanted.names),
        "wanted_names": json.dumps(wanted.names),
        "made_from": wanted.made_from,
        "made_upto": wanted.made_upto,
    }
