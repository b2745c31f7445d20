"""The built services that every entry point receives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.grants import Authorizer
    from entrepot.observability.metrics import Metrics
    from entrepot.registry.deletions import Deletions
    from entrepot.registry.project_numbers import ProjectNumbers
    from entrepot.registry.pulls.blobs import Blobs
    from entrepot.registry.pulls.catalog import Catalog
    from entrepot.registry.pulls.manifests import Manifests
    from entrepot.registry.pulls.referrers import Referrers
    from entrepot.registry.pushes.file_pushes import FilePushes
    from entrepot.registry.pushes.manifests import ManifestPushes
    from entrepot.registry.pushes.mounts import Mounts
    from entrepot.registry.pushes.uploads import Uploads
    from entrepot.registry.repositories import ProjectRepositories
    from entrepot.registry.store_match.watch import StoreWatch

__all__ = ["Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """What an HTTP edge may call. Every method of a service demands a grant of the authorizer.

    Attributes:
        store_watch: to be asked every few seconds; whatever it has found, nothing may be written.
    """

    authorizer: Authorizer
    manifests: Manifests
    manifest_pushes: ManifestPushes
    deletions: Deletions
    referrers: Referrers
    catalog: Catalog
    blobs: Blobs
    uploads: Uploads
    file_pushes: FilePushes
    mounts: Mounts
    repositories: ProjectRepositories
    notes: AuditNotes
    project_numbers: ProjectNumbers
    metrics: Metrics
    store_watch: StoreWatch
