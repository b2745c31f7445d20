"""Makes the records of pushes and deletes, which their units add (I11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.grants import Action, Grant, Pull, Push
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.oci.digest import Digest
    from entrepot.oci.names import RepositoryName

__all__ = ["blob_record", "creation_record", "departure_record", "manifest_record", "mount_refusal"]

_ANSWERED_ALL_THE_SAME: Final = 202
_DEPARTED: Final = "mounted into a repository of another project"


def blob_record(
    grant: Grant[Action], action: AuditAction, digest: Digest, after: Mapping[str, object] | None = None
) -> NewAuditRecord:
    """Return the record of what the grant's holder did to a blob of its repository."""
    return audit_record(grant.principal, action, _in_repository(grant, digest=str(digest)), after=after)


def departure_record(source: Grant[Pull], digest: Digest) -> NewAuditRecord:
    """Return what the source's project is told of a mount: that the blob left it, and by whom.

    Who reads this project's log may not know what else there is (S19), so it names no target, nor the path of the
    request, which does. By the id of the request, who reads the whole log finds the record of the mount.
    """
    origin = msgspec.structs.replace(source.principal.origin, path="")
    principal = msgspec.structs.replace(source.principal, origin=origin)
    about = _in_repository(source, digest=str(digest))
    return audit_record(principal, AuditAction.BLOB_PULL, about, reason=_DEPARTED)


def mount_refusal(
    target: Grant[Push], source: RepositoryName, digest: Digest, reason: str, project_id: int | None
) -> NewAuditRecord:
    """Return what the source's project is told of a mount that its asker has no right for: as of a pull.

    For the same reason as in :func:`departure_record` it names no target. The status is that of the session by which
    the request is answered all the same.
    """
    asker = target.principal
    origin = msgspec.structs.replace(asker.origin, path="")
    return audit_record(
        msgspec.structs.replace(asker, origin=origin),
        AuditAction.ACCESS_DENIED,
        AuditObject("repository", source.text, source.project, digest=str(digest)),
        outcome="failure",
        reason=reason,
        status=_ANSWERED_ALL_THE_SAME,
        project_id=project_id,
    )


def manifest_record(
    grant: Grant[Action],
    action: AuditAction,
    digest: Digest,
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
    *,
    record_id: str,
) -> NewAuditRecord:
    """Return the record of what happened to a manifest and the tags at it.

    `before` and `after` say for each tag which digest it pointed at; `None` says that there was no such tag.
    """
    about = _in_repository(grant, tag=",".join(sorted({*before, *after})), digest=str(digest))
    change = ({"tags": before}, {"tags": after}) if before or after else (None, None)
    return audit_record(
        grant.principal, action, about, before=change[0], after=change[1], record_id=record_id
    )


def creation_record(grant: Grant[Action]) -> NewAuditRecord:
    """Return the record that the grant's holder made its repository, on the way to something else."""
    return audit_record(grant.principal, AuditAction.REPOSITORY_CREATE, _in_repository(grant))


def _in_repository(grant: Grant[Action], *, tag: str = "", digest: str = "") -> AuditObject:
    name = grant.repository
    return AuditObject("repository", name.text, name.project, tag, digest)
