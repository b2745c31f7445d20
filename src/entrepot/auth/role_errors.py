"""Why a role can't be made, changed, given or taken."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "AlreadyAssignedError",
    "AssigneeUnknownError",
    "AssignmentUnknownError",
    "InvalidRoleError",
    "LastOperationsAdminError",
    "RoleError",
    "RoleInUseError",
    "RoleNameTakenError",
    "RoleUnknownError",
]


class RoleError(EntrepotError):
    """The root of these errors."""


class InvalidRoleError(RoleError):
    """The name, the level or a permission of a role is not one that a role can have."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RoleUnknownError(RoleError):
    """There is no such role, or none that can be given there, or changed: the built-in ones can't.

    Attributes:
        role: the name or number that was given.
    """

    def __init__(self, role: int | str, instead: str = "") -> None:
        """Take what there is instead, as a clause that goes on after the name."""
        super().__init__(f"there is no role {role}{instead}")
        self.role = role


class RoleNameTakenError(RoleError):
    """A role of this name exists, or somebody still has one that was called so."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the name {name} is taken by another role")
        self.name = name


class RoleInUseError(RoleError):
    """Somebody has the role, so it can't be deleted."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the role {name} is given to somebody; take it from everybody first")
        self.name = name


class AssigneeUnknownError(RoleError):
    """There is no such person or group."""

    def __init__(self, subject_id: int) -> None:
        super().__init__(f"there is no user or group with the number {subject_id}")
        self.subject_id = subject_id


class AlreadyAssignedError(RoleError):
    """The person or group has the role already."""

    def __init__(self, name: str, role: str) -> None:
        super().__init__(f"{name} has the role {role} already")
        self.name = name
        self.role = role


class AssignmentUnknownError(RoleError):
    """There is no such role assignment on the system."""

    def __init__(self, assignment_id: int) -> None:
        super().__init__(f"there is no role assignment {assignment_id} on the system")
        self.assignment_id = assignment_id


class LastOperationsAdminError(RoleError):
    """Nobody would be left who may administer the registry, by name or by a group."""

    def __init__(self) -> None:
        super().__init__(
            "nobody would be left to administer the registry: first give the role operations-admin to another person "
            "who is not disabled, or to a group that has one"
        )
