"""What stands in a bearer token (distribution, "Token Authentication Specification"), read strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from entrepot.auth.principals import ANONYMOUS, CredentialLimits, Principal, Sponsor
from entrepot.auth.scopes import EVERY_ACTION, ordered_actions

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AccessEntry", "Claims", "Epochs", "Header", "access_entries", "epochs_of", "principal_of"]

_CATALOG: Final = "catalog"


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The only header that we take: no key of the sender's (jwk, jku, x5u, x5c), no `crit`, one algorithm (S16)."""

    kid: str
    typ: Literal["JWT"]
    alg: Literal["ES256"]


class AccessEntry(msgspec.Struct, frozen=True):
    """What may be done with one thing; `create` and `overwrite` stand beside the actions that clients know."""

    type: str
    name: str
    actions: list[str]


class Epochs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the token was decided under: the subject's epoch, and those of the projects by name.

    Attributes:
        sponsor: who answers for a robot, which may no more than they: the public id of a person, empty for the host;
            left out where nobody does, as for everybody who is no robot.
        sponsor_epoch: that person's.
    """

    subject: int
    projects: dict[str, int]
    sponsor: str | None = None
    sponsor_epoch: int = 0


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All claims; each must be there.

    Attributes:
        sub: the public id of the subject, empty for anonymous.
        kind, name: as in the principal.
        cred: the public id of the access token that was presented, empty for none.
    """

    iss: str
    sub: str
    aud: str
    exp: int
    nbf: int
    iat: int
    jti: str
    access: list[AccessEntry]
    epochs: Epochs
    kind: Literal["anonymous", "user", "robot"]
    name: str
    cred: str


def access_entries(access: Mapping[str, frozenset[str]]) -> list[AccessEntry]:
    """Return access by name of repository (and `*` for the registry) as it stands in a token."""
    entries: list[AccessEntry] = []
    for name, actions in access.items():
        if name != EVERY_ACTION:
            entries.append(AccessEntry("repository", name, ordered_actions(actions)))
        elif _CATALOG in actions:
            entries.append(AccessEntry("registry", _CATALOG, [EVERY_ACTION]))
    return entries


def epochs_of(principal: Principal, project_epochs: Mapping[str, int]) -> Epochs:
    """Return what a token is decided under, with who answers for whom it speaks for."""
    sponsor = principal.sponsor
    if sponsor is None:
        return Epochs(principal.epoch, dict(project_epochs))
    return Epochs(principal.epoch, dict(project_epochs), sponsor.person, sponsor.epoch)


def principal_of(claims: Claims) -> Principal:
    """Return whom a token speaks for, still without an address."""
    access: dict[str, frozenset[str]] = {}
    for entry in claims.access:
        if entry.type == "repository":
            access[entry.name] = frozenset(entry.actions)
        elif entry.type == "registry" and entry.name == _CATALOG:
            access[EVERY_ACTION] = frozenset({_CATALOG})
    epochs = claims.epochs
    return Principal(
        subject=claims.sub or ANONYMOUS,
        address="",
        forwarded=False,
        name=claims.name,
        kind=claims.kind,
        limits=CredentialLimits(claims.cred) if claims.cred else None,
        access=access,
        epoch=epochs.subject,
        sponsor=None if epochs.sponsor is None else Sponsor(epochs.sponsor, epochs.sponsor_epoch),
    )
