"""The protocols of robots: accounts of machines, on the system or in one project."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

from entrepot.metadata.list_filters import ANY_ROW, WantedRows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ROBOT_ORDERS",
    "NewRobotRow",
    "RobotFields",
    "RobotNameMatch",
    "RobotOrder",
    "RobotQuery",
    "RobotReader",
    "RobotWriterRows",
    "StoredRobot",
]


@dataclass(frozen=True, slots=True)
class NewRobotRow:
    """A robot as it is added.

    Attributes:
        name: the full name, `robot$name` or `robot$project+name`.
        project_id: `None` for a robot of the system.
        lifetime_milliseconds: from now on; `None` for ever.
        creator: the subject that answers for it.
    """

    public_id: str
    name: str
    short_name: str
    project_id: int | None
    description: str
    secret_hash: str = field(repr=False)
    permissions: bytes
    allowed_addresses: bytes
    duration_days: int
    lifetime_milliseconds: int | None
    creator: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class RobotFields:
    """What can change of a robot."""

    description: str
    permissions: bytes
    allowed_addresses: bytes
    duration_days: int
    expires_at: int | None
    creator: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class StoredRobot:
    """A robot; nothing in it is secret.

    Attributes:
        id: number of its subject.
        creator_id: number of the person who answers for it; `None` for the operator of the host and those gone.
        creator_name: that person's login name; `None` as before.
        creator_disabled: whether that person is disabled.
        read_at: the time of the database when it was read.
        is_stranded: whether the project that it is of is deleted: of no use, but its name is taken.
    """

    id: int
    public_id: str
    name: str
    short_name: str
    project_id: int | None
    description: str
    permissions: bytes
    allowed_addresses: bytes
    duration_days: int
    expires_at: int | None
    creator: str
    creator_id: int | None
    creator_name: str | None
    creator_disabled: bool
    disabled: bool
    created_at: int
    updated_at: int
    last_used_at: int | None
    read_at: int
    is_stranded: bool = False


RobotNameMatch = Literal["whole", "part", "beginning"]
RobotOrder = Literal["id", "name", "-name", "creation_time", "-creation_time"]
ROBOT_ORDERS: Final[tuple[RobotOrder, ...]] = get_args(RobotOrder)
"""What a listing can be sorted by, as Harbor's API writes it; `-` for the greatest first."""


@dataclass(frozen=True, slots=True)
class RobotQuery:
    """A page of robots of one place.

    Attributes:
        order: by number unless something else is said; that of short names for `name`.
        project_id: `None` for those of the system.
        name: a short name, or what it has or begins with (`match`); `None` for all.
        wanted: short names and times of making.
    """

    project_id: int | None
    limit: int
    offset: int = 0
    name: str | None = None
    match: RobotNameMatch = "whole"
    wanted: WantedRows = ANY_ROW
    order: RobotOrder = "id"


class RobotReader(Protocol):
    """Robots as people look at them. Each call is one statement."""

    async def find(self, robot_id: int) -> StoredRobot | None:
        """Return a robot of whatever place."""
        ...

    async def list_page(self, query: RobotQuery) -> Sequence[StoredRobot]:
        """Return a page."""
        ...

    async def count(self, query: RobotQuery) -> int:
        """Return how many robots all pages have together."""
        ...

    async def count_of_creator(self, creator: str) -> int:
        """Return for how many robots a subject answers that are enabled and not at their end."""
        ...


class RobotWriterRows(Protocol):
    """Robots within a unit."""

    async def create(self, robot: NewRobotRow) -> StoredRobot | None:
        """Add a robot and its subject, and return it; the one that is there when it has the same public id.

        `None` when the name is taken.
        """
        ...

    async def hold(self, robot_id: int) -> StoredRobot | None:
        """Return a robot and keep everybody from it until the unit ends."""
        ...

    async def is_in_time(self, subject: str) -> bool:
        """Tell whether a robot (public id) is there and has not expired."""
        ...

    async def change(self, robot_id: int, fields: RobotFields) -> None:
        """Give a robot other fields."""

    async def replace_secret(self, robot_id: int, secret_hash: str, creator: str) -> None:
        """Give a robot another secret, and somebody who answers for it."""

    async def move_epoch(self, robot_id: int) -> None:
        """Let what was issued to the robot, or is remembered of it, die."""

    async def remove(self, robot_id: int) -> None:
        """Remove a robot; its subject stays without its name, so that its epoch can be seen to have moved."""

    async def note_uses(self, public_ids: Sequence[str]) -> None:
        """Put down that robots were used just now."""
