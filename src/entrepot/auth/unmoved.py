"""Whether whoever acts still is who they were when it was decided what they may.

Each process remembers what it decided, and hears of changes by another within seconds. What is only read may be as late
as that. A unit that gives something away looks for itself: rights that are given outlive the moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.errors import AccountChangingError, InvalidCredentialsError
from entrepot.metadata.unit_guard import watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.principals import Principal
    from entrepot.metadata.store import Transaction

__all__ = ["CHANGED", "epochs_of", "require_unmoved", "watch_presented", "watch_project", "watch_subjects"]

CHANGED: Final = "changed meanwhile"
"""The reason of what was refused for it."""


def epochs_of(principal: Principal) -> Mapping[str, int]:
    """Return by which epochs it was decided what somebody may: theirs, and of a robot who answers for it (S9)."""
    sponsor = principal.sponsor
    answering = {} if sponsor is None or sponsor.is_host else {sponsor.person: sponsor.epoch}
    return {principal.subject: principal.epoch, **answering}


def watch_subjects(principal: Principal) -> None:
    """Have the units of this request look whether a principal, and who answers for it, are as they were (S14)."""
    epochs = epochs_of(principal)
    watch(("subjects", *epochs), lambda tx: tx.epochs.hold_subjects(epochs), epochs)


def watch_presented(principal: Principal, session_id: str | None) -> None:
    """Have them look whether what was presented still is good, where it can end without anybody's epoch moving.

    That is a session, which is ended or is at its end, and whatever expires by itself.
    """
    if session_id is not None:
        watch(("session", session_id), lambda tx: tx.web_sessions.hold_good(session_id), found=True)
    if principal.limits is not None:
        token = principal.limits.credential
        watch(("access token", token), lambda tx: tx.access_tokens.hold_good(token), found=True)
    if principal.kind == "robot":
        robot = principal.subject
        watch(("robot", robot), lambda tx: tx.robots.is_in_time(robot), found=True)


def watch_project(project_id: int, epoch: int) -> None:
    """Have them look whether anything changed that decides in a project."""
    watch(("project", project_id), lambda tx: tx.epochs.hold_projects((project_id,)), {project_id: epoch})


async def require_unmoved(tx: Transaction, subjects: Mapping[str, int]) -> None:
    """Refuse to act for somebody who was disabled, deleted or otherwise changed since they were looked up (S14).

    Args:
        subjects: the epochs that decisions were made by, by public id.

    Raises:
        InvalidCredentialsError: somebody is gone.
        AccountChangingError: somebody has another epoch than was decided on.
    """
    found = await tx.epochs.of_subjects(subjects)
    if found.keys() != subjects.keys():
        raise InvalidCredentialsError(CHANGED)
    if found != subjects:
        raise AccountChangingError
