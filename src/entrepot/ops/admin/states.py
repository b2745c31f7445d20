"""What state the account of a person or robot is in, as commands on the host tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.robots.robot_logins import ROBOT_PREFIX

if TYPE_CHECKING:
    from entrepot.metadata.credential_store import StoredRobotCredential
    from entrepot.metadata.user_store import PersonRow

__all__ = ["state_of", "what_keeps_person_out", "what_keeps_robot_out"]


def state_of(person: PersonRow) -> str:
    """Return a word or two for a table."""
    if person.disabled_at is not None:
        return "disabled"
    return "must change password" if person.must_change_password else "active"


def what_keeps_person_out(person: PersonRow, *, but_password: bool = False) -> str:
    """Return a sentence on why a person is not let in with the right password; empty where nothing is in the way.

    `but_password`: leave out that the password must be changed, since that was said.
    """
    if person.disabled_at is not None:
        return f"{person.name} is disabled and can't log in: entrepot admin enable {person.name}"
    if person.must_change_password and not but_password:
        return f"{person.name} must change the password at the next login, and may do nothing else before."
    return ""


def what_keeps_robot_out(robot: StoredRobotCredential) -> str:
    """Return the same of a robot; from which addresses it may come is not looked at."""
    command = f"entrepot robot update {_named(robot.name)}"
    if robot.disabled:
        return f"{robot.name} is disabled and can't log in; to change that: {command} --enable"
    if robot.remaining_milliseconds is not None and robot.remaining_milliseconds <= 0:
        return f"{robot.name} has expired and can't log in; to change that: {command} --days 30"
    return ""


def _named(full_name: str) -> str:
    """Return how a command of the client names the robot `robot$name` or `robot$project+name`."""
    project, joined, name = full_name.removeprefix(ROBOT_PREFIX).rpartition("+")
    return f"{name} --project {project}" if joined else name
