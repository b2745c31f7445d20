"""Builds the management API and the token service on the identity of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot import __version__
from entrepot.audit.export import AuditExport
from entrepot.audit.queries import AuditLog
from entrepot.audit.search_turns import SearchTurns
from entrepot.bootstrap.keys import build_signed_end
from entrepot.control_api.application import LazyControlApplication, build_control_api
from entrepot.control_api.health_board import HealthBoard
from entrepot.control_api.services import ControlServices, SystemFacts
from entrepot.control_api.web_sessions import WebSessions
from entrepot.projects.audit_targets import AuditTargets
from entrepot.projects.labels import Labels
from entrepot.projects.members import Members
from entrepot.projects.project_metadata import ProjectMetadata
from entrepot.projects.projects import Projects
from entrepot.projects.visibility import Visibility

if TYPE_CHECKING:
    from entrepot.bootstrap.identity import Identity
    from entrepot.bootstrap.stores import Stores
    from entrepot.kernel.address_budget import AddressBudget
    from entrepot.services import Services
    from entrepot.settings import Settings

__all__ = ["build_control"]


def build_control(
    settings: Settings, stores: Stores, services: Services, identity: Identity, addresses: AddressBudget
) -> LazyControlApplication:
    """Return the management API; it imports its framework when it is asked for the first time."""
    control = control_services(settings, stores, services, identity)
    external_url = settings.http.external_url
    return LazyControlApplication(lambda: build_control_api(control, external_url, __version__, addresses))


def control_services(
    settings: Settings, stores: Stores, services: Services, identity: Identity
) -> ControlServices:
    """Return what endpoints may call."""
    metadata, accounts = stores.metadata, identity.accounts
    return ControlServices(
        authorizer=identity.authorizer,
        authenticator=identity.authenticator,
        sessions=WebSessions(accounts.sessions),
        notes=services.notes,
        targets=AuditTargets(metadata),
        system=_Facts(settings, stores, identity),
        health=HealthBoard(
            {
                "database": metadata.instance.ping,
                "registry": stores.blobs.check,
                "tokens": identity.token_ring.check,
            }
        ),
        metrics=services.metrics,
        decisions=identity.decisions,
        people=accounts.people,
        password_changes=accounts.password_changes,
        administrators=accounts.administrators,
        groups=accounts.groups,
        projects=Projects(metadata, identity.configurations, identity.decisions),
        visibility=Visibility(metadata, identity.decisions),
        project_metadata=ProjectMetadata(metadata, identity.decisions),
        members=Members(metadata, identity.decisions),
        labels=Labels(metadata),
        configurations=identity.configurations,
        repositories=services.repositories,
        robots=accounts.robots,
        access_tokens=accounts.access_tokens,
        roles=accounts.roles,
        role_assignments=accounts.role_assignments,
        audit_log=AuditLog(metadata, services.notes, SearchTurns.beside_others(settings.metadata.pool_size)),
        audit_export=AuditExport(metadata, build_signed_end(settings, metadata, services.metrics)),
        memory=identity.memory,
        epochs=identity.epochs,
    )


class _Facts:
    """Implements :class:`entrepot.control_api.services.SystemFactsSource`."""

    def __init__(self, settings: Settings, stores: Stores, identity: Identity) -> None:
        self._settings = settings
        self._stores = stores
        self._identity = identity

    async def current(self) -> SystemFacts:
        """See the protocol."""
        chosen = await self._identity.configurations.current()
        return SystemFacts(
            version=__version__,
            external_url=self._settings.http.external_url,
            storage=self._settings.storage.driver,
            read_only=self._settings.registry.read_only or chosen.read_only,
            project_creation=chosen.project_creation_restriction,
            banner=chosen.banner_message,
            now=round(self._identity.token_ring.now() * 1000),
        )
