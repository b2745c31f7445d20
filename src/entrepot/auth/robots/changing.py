"""What a change makes of a robot, and whether it gives the robot anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.robots.addresses import encode_networks, parse_networks
from entrepot.auth.robots.errors import InvalidRobotError
from entrepot.auth.robots.permissions import encode_permissions, parse_permissions
from entrepot.auth.robots.rules import lifetime_milliseconds, require_description, require_duration
from entrepot.metadata.robot_store import RobotFields

if TYPE_CHECKING:
    from entrepot.auth.robots.records import RobotChanges, RobotLimits
    from entrepot.metadata.robot_store import StoredRobot

__all__ = ["changed_fields", "decisive", "gives_more"]

_LEFT: Final = "expires_in_days"
"""As the API calls days from now."""


def changed_fields(
    seen: StoredRobot, changes: RobotChanges, changer: str, project: str, limits: RobotLimits
) -> RobotFields:
    """Return what a robot is to become, checked; `project` is empty for one of the system.

    Whoever (`changer`) gives it permissions, or anything else, answers for it from then on.

    Raises:
        InvalidRobotError: what is asked for is not possible.
    """
    permissions, networks = seen.permissions, seen.allowed_addresses
    if changes.permissions is not None:
        asked = parse_permissions(changes.permissions, "project" if project else "system", project)
        permissions = encode_permissions(asked)
    if changes.allowed_addresses is not None:
        networks = encode_networks(parse_networks(changes.allowed_addresses))
    if changes.description is not None:
        require_description(changes.description)
    days, expires_at = _expiry(seen, changes, limits)
    disabled = seen.disabled if changes.disabled is None else changes.disabled
    gives = (
        changes.permissions is not None
        or networks != seen.allowed_addresses
        or (days, expires_at) != (seen.duration_days, seen.expires_at)
        or (seen.disabled and not disabled)
    )
    return RobotFields(
        description=seen.description if changes.description is None else changes.description,
        permissions=permissions,
        allowed_addresses=networks,
        duration_days=days,
        expires_at=expires_at,
        creator=changer if gives else seen.creator,
        disabled=disabled,
    )


def gives_more(seen: StoredRobot, fields: RobotFields) -> bool:
    """Whether a change is more than describing or disabling."""
    return decisive(fields)[:-1] != decisive(seen)[:-1] or (seen.disabled and not fields.disabled)


def decisive(robot: StoredRobot | RobotFields) -> tuple[object, ...]:
    """Return what a change was judged by; when it is not what it was, the judgement is void. `disabled` comes last."""
    return (
        robot.permissions,
        robot.allowed_addresses,
        robot.duration_days,
        robot.expires_at,
        robot.creator,
        robot.disabled,
    )


def _expiry(seen: StoredRobot, changes: RobotChanges, limits: RobotLimits) -> tuple[int, int | None]:
    """Return duration and end of life. A duration is counted from when the robot was made, days from now are from now.

    A robot may have been made long ago, or by a clock that was ahead: then no duration leads to an end that is meant.
    The days from now become its duration, so that a client that sends back what it was shown changes nothing.
    """
    days, left = changes.duration_days, changes.days_from_now
    is_other = days is not None and days != seen.duration_days
    if left is not None:
        if is_other:
            raise InvalidRobotError(
                _LEFT, "or a duration that is counted from when the robot was made, not both"
            )
        require_duration(left, limits, _LEFT)
        return left, _end(left, seen.read_at)
    if days is None or not is_other:
        return seen.duration_days, seen.expires_at
    require_duration(days, limits)
    return days, _end(days, seen.created_at)


def _end(days: int, beginning: int) -> int | None:
    lifetime = lifetime_milliseconds(days)
    return None if lifetime is None else beginning + lifetime
