"""What a robot's name, description and duration must be like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from entrepot.auth.robots.errors import InvalidRobotError

if TYPE_CHECKING:
    from entrepot.auth.robots.records import RobotLimits

__all__ = ["FOR_EVER", "full_name", "lifetime_milliseconds", "require_description", "require_duration"]

FOR_EVER: Final = -1
"""The duration of a robot that never expires."""

_PREFIX: Final = "robot$"
_NAME: Final = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)
_MOST_NAME_CHARACTERS: Final = 255
_MOST_DESCRIPTION_CHARACTERS: Final = 1024
_MOST_DAYS: Final = 36_500
_DAY_MILLISECONDS: Final = 86_400_000


def full_name(short_name: str, project: str = "") -> str:
    """Return the name by which a robot logs in: `robot$name`, or `robot$project+name` in a project.

    Raises:
        InvalidRobotError: the short name is not as Harbor wants it.
    """
    name = f"{_PREFIX}{project}+{short_name}" if project else _PREFIX + short_name
    if _NAME.fullmatch(short_name) is None or len(name) > _MOST_NAME_CHARACTERS:
        raise InvalidRobotError(
            "name",
            "lower-case letters and digits, joined by single '.', '_' or '-', "
            f"{_MOST_NAME_CHARACTERS} characters at most with its prefix",
        )
    return name


def require_description(description: str) -> None:
    """Check a description.

    Raises:
        InvalidRobotError: it is too long.
    """
    if len(description) > _MOST_DESCRIPTION_CHARACTERS:
        raise InvalidRobotError("description", f"{_MOST_DESCRIPTION_CHARACTERS} characters at most")


def require_duration(days: int, limits: RobotLimits, field: str = "duration") -> None:
    """Check a duration in days, which was asked for in a field.

    Raises:
        InvalidRobotError: it is neither -1 nor a number of days, or is longer than the limits allow.
    """
    longest = _MOST_DAYS if limits.most_days is None else min(limits.most_days, _MOST_DAYS)
    if days == FOR_EVER and limits.most_days is None:
        return
    if not 1 <= days <= longest:
        never = ", or -1 for ever" if limits.most_days is None else ""
        raise InvalidRobotError(field, f"1 to {longest} days{never}")


def lifetime_milliseconds(days: int) -> int | None:
    """Return a duration as the database counts it, `None` for ever."""
    return None if days == FOR_EVER else days * _DAY_MILLISECONDS
