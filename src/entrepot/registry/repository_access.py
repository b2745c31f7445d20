"""The repository that a push is about: found, or made where the grant lets it be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.errors import AccessDeniedError, ProjectUnknownError
from entrepot.registry.audit import creation_record

if TYPE_CHECKING:
    from entrepot.auth.grants import Grant, Push
    from entrepot.auth.principals import PrincipalKind
    from entrepot.metadata.records import RepositoryRow
    from entrepot.metadata.store import Transaction
    from entrepot.oci.digest import Digest
    from entrepot.oci.names import TagName

__all__ = [
    "RepositoryCreationDeniedError",
    "TagOverwriteDeniedError",
    "granted_repository",
    "require_overwrite",
]

_MAY_BE_LIMITS: Final = (
    "; if you may otherwise, it is the limits of the access token that you came with that leave it out"
)
"""A bearer token does not carry these, so it is not known."""
_ACCOUNTS: Final[frozenset[PrincipalKind]] = frozenset({"user", "robot"})


class RepositoryCreationDeniedError(AccessDeniedError):
    """A push to a repository that does not exist, by somebody who may push but not create repositories."""

    def __init__(self, repository: str, project: str, *, of_access_token: bool = False) -> None:
        super().__init__(
            f"repository {repository} does not exist, and you may push to the repositories of project {project} but "
            "not create one: ask an administrator of the project or of the registry to create it "
            f"(entrepot repository create {repository}), or to change who may create repositories by pushing "
            f"(entrepot project set {project} repository_creation=developers)"
            f"{_MAY_BE_LIMITS * of_access_token}"
        )


class TagOverwriteDeniedError(AccessDeniedError):
    """A push would move a tag, by somebody who may create tags but not move them (S11)."""

    def __init__(self, tag: TagName | str, project: str, *, of_access_token: bool = False) -> None:
        super().__init__(
            f"tag {tag} exists and points at something else, and you may create tags but not move them, which takes "
            f"tag:overwrite: push under another tag, or ask an administrator of project {project} for a role, or for "
            f"a robot, that has this permission{_MAY_BE_LIMITS * of_access_token}"
        )


async def granted_repository(tx: Transaction, grant: Grant[Push]) -> RepositoryRow:
    """Return the repository of a grant to push, within a unit; one that is new only if the grant says so.

    Where there are accounts, a project exists because somebody made it: their pushes make repositories, never projects.

    Raises:
        RepositoryCreationDeniedError: there is none, and the grant does not reach so far.
        ProjectUnknownError: the project was deleted since the grant was made.
    """
    name = grant.repository
    found = await tx.repositories.find(name.text)
    if found is not None:
        return found
    if not grant.may_create:
        limited = grant.principal.limits is not None
        raise RepositoryCreationDeniedError(name.text, name.project, of_access_token=limited)
    if grant.principal.kind in _ACCOUNTS and await tx.projects.share(name.project) is None:
        raise ProjectUnknownError(name.project)
    repository = await tx.repositories.ensure(name.text, name.project, grant.principal.subject)
    if repository.created:  # else another push was quicker, and recorded it
        await tx.audit.append(creation_record(grant))
    return repository


def require_overwrite(grant: Grant[Push], tag: str, previous: Digest | None, digest: Digest) -> None:
    """Refuse to have moved a tag without the right to; raised in the unit, this takes the move back.

    Raises:
        TagOverwriteDeniedError: the tag pointed at something else, and the grant does not reach so far.
    """
    if previous is not None and previous != digest and not grant.may_overwrite:
        limited = grant.principal.limits is not None
        raise TagOverwriteDeniedError(tag, grant.repository.project, of_access_token=limited)
