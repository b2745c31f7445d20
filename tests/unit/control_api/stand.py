"""The management API on scripted services: who knows whom, and who may do what, is written down in the test."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from prometheus_client import CollectorRegistry

from entrepot.auth.errors import (
    AccessDeniedError,
    AuditUnavailableError,
    AuthenticationRequiredError,
    InvalidCredentialsError,
    ProjectUnknownError,
)
from entrepot.auth.grants import OwnCredentialGrant, OwnPasswordGrant, ProjectGrant, SelfGrant, SystemGrant
from entrepot.auth.principals import Origin, Principal
from entrepot.auth.project_actions import ProjectAction
from entrepot.auth.system_actions import SystemAction
from entrepot.control_api.admission import Admitter
from entrepot.control_api.application import ControlApplication
from entrepot.control_api.browser_sessions import BrowserSession, SessionFacts, StartedSession
from entrepot.control_api.framework import build_framework
from entrepot.control_api.health_board import HealthBoard
from entrepot.control_api.services import ControlServices, SystemFacts
from entrepot.kernel.address_budget import AddressBudget
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.observability.metrics import build_metrics
from entrepot.projects.audit_targets import AuditTarget, AuditTargets
from entrepot.projects.visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from entrepot.auth.system_actions import DeleteSession, ListSession
    from entrepot.control_api.declarations import AnyEndpoint
    from entrepot.kernel.asgi import Application
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.projects.audit_targets import NumberedKind

__all__ = ["Stand", "calling"]

P = TypeVar("P", bound=ProjectAction)
S = TypeVar("S", bound=SystemAction)

SECRETS = {"alice": "alice-secret", "bob": "bob-secret", "": "ept_token-of-alice"}
"""Alice may everything, Bob nothing."""
PROJECTS = {"apps": 7, "7": 8, "secret": 9}


@dataclass
class Stand:
    """The services, and what was asked of them."""

    ill: bool = False
    notes_work: bool = True
    external_url: str = ""
    notes: list[NewAuditRecord] = field(default_factory=list["NewAuditRecord"])
    ended: list[str] = field(default_factory=list[str])
    kept: list[str] = field(default_factory=list[str])
    asked: list[Any] = field(default_factory=list[Any])
    examinations: int = 0
    looks: int = 0

    async def note(self, record: NewAuditRecord) -> None:
        if not self.notes_work:
            raise AuditUnavailableError("the disk is full")
        self.notes.append(record)

    async def by_basic(
        self, name: str, secret: str, address: str, origin: Origin, *, forwarded: bool
    ) -> Principal:
        if not name or SECRETS.get(name) != secret:
            raise InvalidCredentialsError("unknown")
        return _person(name, address, origin)

    async def by_token(self, token: str, address: str, origin: Origin, *, forwarded: bool) -> Principal:
        if token != SECRETS[""]:
            raise InvalidCredentialsError("unknown")
        return _person("alice", address, origin)

    async def by_subject(
        self, subject: str, credential: str, address: str, origin: Origin, *, forwarded: bool
    ) -> Principal:
        raise InvalidCredentialsError("no such subject")

    async def log_in(
        self, name: str, password: str, address: str, origin: Origin, *, forwarded: bool
    ) -> StartedSession:
        principal = await self.by_basic(name, password, address, origin, forwarded=forwarded)
        return StartedSession("s-new", f"cookie-of-{principal.name}", "csrf-token")

    async def resume(
        self, cookie: str, address: str, origin: Origin, *, forwarded: bool
    ) -> BrowserSession | None:
        name = cookie.removeprefix("cookie-of-")
        if name not in SECRETS:
            return None

        async def keep() -> None:
            self.kept.append(cookie)

        return BrowserSession(f"s-{name}", _person(name, address, origin), "csrf-token", keep)

    async def end(self, cookie: str, principal: Principal) -> None:
        self.ended.append(cookie)

    async def list_own(self, grant: SelfGrant) -> Sequence[SessionFacts]:
        return [
            SessionFacts(f"s-{n}", "alice", "192.0.2.1", "browser", n * 1000, n * 2000) for n in range(25)
        ]

    async def revoke_own(self, grant: SelfGrant, session_id: str) -> bool:
        return session_id == f"s-{grant.principal.name}"

    async def list_all(
        self, grant: SystemGrant[ListSession], limit: int, offset: int
    ) -> tuple[Sequence[SessionFacts], int]:
        return [], 0

    async def exists(self, grant: SystemGrant[ListSession], session_id: str) -> bool:
        return False

    async def revoke(self, grant: SystemGrant[DeleteSession], session_id: str) -> bool:
        return False

    async def current(self) -> SystemFacts:
        return SystemFacts("1.2.3", self.external_url, "filesystem", False, "adminonly", "hello", 1_600_000)

    async def authorize_project(
        self, principal: Principal, action: type[P], project: str | int
    ) -> ProjectGrant[P]:
        self.asked.append((action.permission.name, project))
        by_number = {number: name for name, number in PROJECTS.items()}
        name = by_number.get(project) if isinstance(project, int) else project
        self._require(principal)
        if name not in PROJECTS:
            raise ProjectUnknownError(project)
        return ProjectGrant(action, PROJECTS[name], name, principal)

    async def authorize_system(self, principal: Principal, action: type[S]) -> SystemGrant[S]:
        self.asked.append((action.permission.name, None))
        self._require(principal)
        return SystemGrant(action, principal)

    async def authorize_self(self, principal: Principal) -> SelfGrant:
        if principal.kind == "anonymous":
            raise AuthenticationRequiredError
        return SelfGrant(principal)

    async def authorize_own_credential(self, principal: Principal) -> OwnCredentialGrant:
        if principal.kind == "anonymous":
            raise AuthenticationRequiredError
        return OwnCredentialGrant(principal)

    async def authorize_own_password(self, principal: Principal) -> OwnPasswordGrant:
        if principal.kind == "anonymous":
            raise AuthenticationRequiredError
        return OwnPasswordGrant(principal)

    async def refresh(self) -> None:
        self.looks += 1

    def is_current(self, subject: str, subject_epoch: int, projects: Mapping[str, int]) -> bool:
        return (subject, subject_epoch, dict(projects)) == (subject, 0, {})

    async def examine_database(self) -> None:
        self.examinations += 1
        if self.ill:
            raise MetadataUnavailableError("no route to db.internal:5432")

    def services(self) -> ControlServices:
        """Return them as endpoints get them."""
        board = HealthBoard({"database": self.examine_database})
        metrics = build_metrics(CollectorRegistry())
        none: Any = None  # what the endpoints of these tests never reach
        return ControlServices(
            authorizer=self,
            authenticator=self,
            sessions=self,
            notes=self,
            targets=_Nothing(none),
            system=self,
            health=board,
            metrics=metrics,
            decisions=none,
            people=none,
            password_changes=none,
            administrators=none,
            groups=none,
            projects=none,
            visibility=_NoSight(none, none),
            project_metadata=none,
            members=none,
            labels=none,
            configurations=none,
            repositories=none,
            robots=none,
            access_tokens=none,
            roles=none,
            role_assignments=none,
            audit_log=none,
            audit_export=none,
            memory=none,
            epochs=self,
        )

    def application(
        self, endpoints: tuple[AnyEndpoint, ...], addresses: AddressBudget | None = None
    ) -> ControlApplication:
        """Return the application of some endpoints; the framework's part of it is made once and serves all stands."""
        admitter = Admitter(self.services(), self.external_url)
        heads = frozenset(endpoint.path for endpoint in endpoints if endpoint.method == "HEAD")
        return ControlApplication(_framework(endpoints), admitter, heads, addresses or AddressBudget(0))

    def _require(self, principal: Principal) -> None:
        if principal.kind == "anonymous":
            raise AuthenticationRequiredError
        if principal.name != "alice":
            raise AccessDeniedError("you may not do this")


class _Nothing(AuditTargets):
    """Finds nothing, and asks no database for it."""

    async def project(self, project: str | int) -> AuditTarget | None:
        return None

    async def member(
        self, principal: Principal, project: AuditTarget | None, number: int
    ) -> AuditTarget | None:
        return None

    async def numbered(self, kind: NumberedKind, number: int) -> AuditTarget | None:
        return None


class _NoSight(Visibility):
    """Sees nothing, and asks no database for it."""

    def __init__(self, metadata: Any, decisions: Any) -> None:
        """Take what is not looked at."""

    async def any_project(self, principal: Principal, action: type[ProjectAction]) -> int | None:
        return None


@functools.cache
def _framework(endpoints: tuple[AnyEndpoint, ...]) -> Any:
    return build_framework(endpoints)


def _person(name: str, address: str, origin: Origin) -> Principal:
    return Principal(f"u-{name}", address, False, name, "user", origin)


@contextlib.asynccontextmanager
async def calling(application: Application, name: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """Return a client in this process, which presents what a person's secret is."""
    transport: Any = httpx.ASGITransport(application, raise_app_exceptions=True, client=("192.0.2.1", 1))
    credentials = httpx.BasicAuth(name, SECRETS[name]) if name else None
    async with httpx.AsyncClient(
        transport=transport, base_url="http://registry.example", auth=credentials
    ) as client:
        yield client
