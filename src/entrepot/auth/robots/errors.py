"""Why a robot can't be made or changed."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = ["InvalidRobotError", "RobotChangedError", "RobotError", "RobotNameTakenError", "RobotUnknownError"]


class RobotError(EntrepotError):
    """The root of everything that speaks against making or changing a robot."""


class InvalidRobotError(RobotError):
    """What was asked for can't be a robot: its name, permissions, duration, addresses or secret.

    Attributes:
        field: which of them.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class RobotUnknownError(RobotError):
    """There is no such robot, or it is of another place (S7)."""

    def __init__(self, robot_id: int) -> None:
        super().__init__(f"there is no robot {robot_id} here")
        self.robot_id = robot_id


class RobotNameTakenError(RobotError):
    """Another robot has the name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a robot {name} already")
        self.name = name


class RobotChangedError(RobotError):
    """Somebody else changed what the robot may do meanwhile; look again."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the robot {name} was changed by somebody else meanwhile; look at it and try again")
        self.name = name
