"""The protocols of labels: names with a colour, of one project or of the whole registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "LABEL_ORDERS",
    "LabelOrder",
    "LabelPage",
    "LabelQuery",
    "LabelReader",
    "LabelRow",
    "LabelRows",
    "LabelText",
]


@dataclass(frozen=True, slots=True)
class LabelText:
    """What people choose of a label."""

    name: str
    description: str = ""
    color: str = ""


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label; without a project it is one of the whole registry. Times are milliseconds since 1970."""

    id: int
    project_id: int | None
    text: LabelText
    created_at: int
    updated_at: int


LabelOrder = Literal["name", "-name", "creation_time", "-creation_time"]
LABEL_ORDERS: Final[tuple[LabelOrder, ...]] = get_args(LabelOrder)


@dataclass(frozen=True, slots=True)
class LabelQuery:
    """Which labels of a place to list; empty texts filter nothing."""

    name: str = ""
    name_part: str = ""
    order: LabelOrder = "name"
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class LabelPage:
    """One page of labels, and how many there are on all pages."""

    labels: Sequence[LabelRow]
    total: int


class LabelReader(Protocol):
    """Labels as the API shows them."""

    async def list_page(self, project_id: int | None, query: LabelQuery) -> LabelPage:
        """Return a page of the labels of a project, or of the registry."""
        ...

    async def find(self, label_id: int) -> LabelRow | None:
        """Return a label, whoever it belongs to."""
        ...


class LabelRows(Protocol):
    """Labels within a unit; `None` for a project means the registry."""

    async def find(self, project_id: int | None, label_id: int) -> LabelRow | None:
        """Return a label of this very project (S7), and keep others from it until the unit ends."""
        ...

    async def id_of(self, project_id: int | None, name: str) -> int | None:
        """Return the number of the label of this name."""
        ...

    async def insert(self, project_id: int | None, text: LabelText) -> int | None:
        """Make a label and return its number; `None` when there is one of this name."""
        ...

    async def change(self, label_id: int, text: LabelText) -> None:
        """Change a label that was found."""

    async def remove(self, label_id: int) -> None:
        """Remove a label that was found."""
