"""The permissions of a custom role as they count: those that this version knows on the role's level.

Another version may have stored names that nobody can hold here. They permit nothing, so nobody has to hold them either
to give, take or change the role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.decisions import NOTHING
from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS

if TYPE_CHECKING:
    from entrepot.auth.permissions import Level

__all__ = ["UNREADABLE", "known_permissions", "stored_names"]

UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What reading a damaged row raises: msgspec has errors of its own, but not for texts that are no UTF-8."""

_names_decoder: Final = msgspec.json.Decoder(frozenset[str])


def stored_names(stored: bytes) -> frozenset[str] | None:
    """Return the permissions of a custom role as they are stored; `None` for what can't be read."""
    try:
        return _names_decoder.decode(stored)
    except UNREADABLE:
        return None


def known_permissions(level: Level, stored: bytes) -> frozenset[str]:
    """Return what a role of a level permits; what can't be read permits nothing, of which decisions tell the log."""
    names = stored_names(stored) or NOTHING
    return names & (SYSTEM_PERMISSIONS if level == "system" else PROJECT_PERMISSIONS).keys()
