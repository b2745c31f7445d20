"""Who answers for a robot, read with its credentials: a person who is there, or an operator of the host (S9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.principals import BY_THE_HOST, Sponsor

if TYPE_CHECKING:
    from entrepot.metadata.credential_store import StoredSponsor

__all__ = ["sponsor_of"]

_HOST_PREFIX: Final = "host:"
"""How the subject of an operator of the host begins; a robot that one made is bound by its own permissions only."""


def sponsor_of(stored: StoredSponsor) -> Sponsor | None:
    """Return who answers for a robot; `None` when that person is gone. One who is disabled just may nothing."""
    if stored.subject.startswith(_HOST_PREFIX):
        return BY_THE_HOST
    return None if stored.epoch is None else Sponsor(stored.subject, stored.epoch)
