"""Who answers for a robot, read with its credentials: a person who is there, or an operator of the host (S9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from entrepot.auth.principals import BY_THE_HOST, Sponsor

if TYPE_CHECKING:
    from entrepot.metadata.credential_store import StoredSponsor

__all__ = ["Answerable", "AnswerableState", "answerable_for", "sponsor_of"]

AnswerableState = Literal["present", "disabled", "gone", "host"]

_HOST_PREFIX: Final = "host:"
"""How the subject of an operator of the host begins; a robot that one made is bound by its own permissions only."""


@dataclass(frozen=True, slots=True)
class Answerable:
    """Who answers for a robot, as people are told.

    Attributes:
        name: the login name of the person, or of the operator of the host; empty for one who is gone.
        state: a robot of somebody `disabled` or `gone` may do nothing.
        lacks: what the robot was given and a person who is `present` does not hold, so that neither has it, as
            `team=repository:push`; looked up only where a robot is shown.
    """

    name: str
    state: AnswerableState
    lacks: tuple[str, ...] = ()


def answerable_for(subject: str, name: str | None, *, disabled: bool) -> Answerable:
    """Return who answers for a robot; `name` is `None` for operators of the host and people who are gone."""
    if subject.startswith(_HOST_PREFIX):
        return Answerable(subject.removeprefix(_HOST_PREFIX), "host")
    if name is None:
        return Answerable("", "gone")
    return Answerable(name, "disabled" if disabled else "present")


def sponsor_of(stored: StoredSponsor) -> Sponsor | None:
    """Return who answers for a robot; `None` when that person is gone. One who is disabled just may nothing."""
    if stored.subject.startswith(_HOST_PREFIX):
        return BY_THE_HOST
    return None if stored.epoch is None else Sponsor(stored.subject, stored.epoch)
