"""A registry with one caller of each kind, and with two projects alike, of which one is public."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from entrepot.auth.bearer.bearer_tokens import BearerTokens
from entrepot.auth.bearer.refresh_tokens import RefreshTokens
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.distribution_api.admission import Admission, AdmissionLimits
from entrepot.distribution_api.application import DistributionApplication
from entrepot.distribution_api.audit import EdgeAudit
from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.challenges import Challenges
from entrepot.distribution_api.credentials import Identification
from entrepot.kernel.address_budget import AddressBudget
from entrepot.kernel.rate_budget import RateBudget
from entrepot.settings import metadata_url
from entrepot.token_service.application import TokenApplication
from entrepot.token_service.issuing import TokenService
from tests.asgi.identity import ISSUER, SERVICE, Clock, ring_of
from tests.asgi.services import in_process_registry, scratch_settings
from tests.drivers.metadata.raw_database import RawDatabase
from tests.integration.control_api.building import ADMIN_PASSWORD, built_api
from tests.integration.control_api.matrix.expectations import CALLERS, ROBOT_PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.kernel.asgi import Application, Receive, Scope, Send
    from tests.asgi.services import InProcessRegistry
    from tests.integration.control_api.building import BuiltApi
    from tests.integration.control_api.matrix.expectations import Caller

__all__ = ["CLOSED", "OPEN", "PASSWORD", "Stage", "fill_stage", "set_stage"]

API: Final = "/api/v2.0"
OPEN: Final = "open"
CLOSED: Final = "closed"
PROJECTS: Final = (OPEN, CLOSED)
PASSWORD: Final = "Bq7#mxLp-canary-1"
_DUE: Final = "Kt5!zzWq-canary-2"


@dataclass(slots=True)
class Stage:
    """The registry, and the numbers of what is in it.

    Attributes:
        secrets: by caller, name and secret.
        people: numbers of people by name; `bystander`, `doomed` and `walker` are beside the callers.
        members: the bystander's membership, by project.
        labels: by project, and under `` the one of the registry; robots likewise.
    """

    application: Application
    database: RawDatabase
    secrets: dict[Caller, tuple[str, str]] = field(default_factory=dict["Caller", tuple[str, str]])
    robot_secrets: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    people: dict[str, int] = field(default_factory=dict[str, int])
    members: dict[str, int] = field(default_factory=dict[str, int])
    labels: dict[str, int] = field(default_factory=dict[str, int])
    robots: dict[str, int] = field(default_factory=dict[str, int])
    projects: dict[str, int] = field(default_factory=dict[str, int])
    group: int = 0
    role: int = 0
    assignment: int = 0
    token: str = ""

    def client(self, caller: Caller, project: str) -> httpx.AsyncClient:
        """Return a client of a caller; the robot is the one of the project."""
        if caller == "robot":
            return self.client_of(*self.robot_secrets[project])
        return self.client_of(*self.secrets.get(caller, ("", "")))

    def client_of(self, name: str, secret: str) -> httpx.AsyncClient:
        """Return a client with Basic credentials; without any when the name is empty."""
        transport: Any = httpx.ASGITransport(self.application)
        auth = httpx.BasicAuth(name, secret) if name else None
        return httpx.AsyncClient(transport=transport, base_url="http://registry.example", auth=auth)

    def administrator(self) -> httpx.AsyncClient:
        """Return the first administrator's client, who sets the stage and is no caller."""
        return self.client_of("admin", ADMIN_PASSWORD)


@contextlib.asynccontextmanager
async def set_stage(directory: Path) -> AsyncIterator[Stage]:
    """Build the registry and everything on it, by the API alone."""
    settings = scratch_settings(directory)
    async with (
        in_process_registry(settings) as registry,
        built_api(registry.stores.metadata, registry.stores.blobs, directory) as api,
    ):
        database = RawDatabase(metadata_url(settings))
        stage = Stage(_every_edge(registry, api), database)
        await fill_stage(stage)
        yield stage


async def fill_stage(stage: Stage) -> None:
    """Make everybody and everything, by the API alone."""
    async with stage.administrator() as admin:
        await _add_people(stage, admin)
        await _add_shared_things(stage, admin)
        for project in PROJECTS:
            await _add_project(stage, admin, project)
        await admin.put(f"{API}/users/{stage.people['password-due']}/password", json={"new_password": _DUE})
        stage.secrets["password-due"] = ("password-due", _DUE)


def _every_edge(registry: InProcessRegistry, api: BuiltApi) -> Application:
    # No token outlives the robot it is issued for, whose end is told by the database of this machine.
    clock = Clock(time.time())  # noqa: TID251  # stands for the database's
    ring, metadata, services = ring_of(clock), registry.stores.metadata, api.services
    tokens = BearerTokens(ring, ISSUER, SERVICE, 300)
    challenges = Challenges("", "http://registry.example", "/service/token", SERVICE)
    data_plane = DistributionApplication(
        dataclasses.replace(registry.services, authorizer=api.authorizer),
        Admission(AdmissionLimits(10, 10, 10, 1.0), AddressBudget(100)),
        PaceLimits(0, 10, 60),
        audit=EdgeAudit(services.notes, registry.services.project_numbers),
        identification=Identification(
            services.authenticator, tokens, api.epochs, services.decisions, challenges
        ),
    )
    refresh_tokens = RefreshTokens(metadata, services.authenticator, SERVICE)
    issuing = TokenService(
        metadata,
        services.authenticator,
        services.decisions,
        tokens,
        refresh_tokens,
        services.notes,
        SERVICE,
        RateBudget(0),
        look_for_moves=api.epochs.refresh,
    )
    token_service = TokenApplication(issuing, ring, AddressBudget(100))

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        edges: dict[str, Any] = {"/v2": data_plane, "/service": token_service}
        edge: Any = next((edges[one] for one in edges if scope["path"].startswith(one)), api.application)
        await edge({**scope, "extensions": {}}, receive, send)

    return application


def made(reply: httpx.Response) -> int:
    """Return the number of what was made."""
    assert reply.status_code == 201, reply.text
    return int(reply.headers["location"].rpartition("/")[2])


async def _add_people(stage: Stage, admin: httpx.AsyncClient) -> None:
    for name in (*CALLERS, "bystander", "doomed", "walker"):
        if name in {"anonymous", "robot"}:
            continue
        body = {"username": name, "password": PASSWORD}
        stage.people[name] = made(await admin.post(f"{API}/users", json=body))
    stage.secrets.update({name: (name, PASSWORD) for name in CALLERS if name in stage.people})
    for role in ("auditor", "operations-admin"):
        made(
            await admin.post(f"{API}/role-assignments", json={"subject_id": stage.people[role], "role": role})
        )


async def _add_shared_things(stage: Stage, admin: httpx.AsyncClient) -> None:
    stage.group = made(await admin.post(f"{API}/usergroups", json={"group_name": "staff"}))
    role = {"name": "registrar", "level": "system", "permissions": ["label:list"]}
    stage.role = made(await admin.post(f"{API}/roles", json=role))
    given = {"subject_id": stage.people["bystander"], "role": "registrar"}
    stage.assignment = made(await admin.post(f"{API}/role-assignments", json=given))
    stage.labels[""] = made(await admin.post(f"{API}/labels", json={"name": "everywhere"}))
    stage.robots[""] = await add_robot(admin, "", "system")
    async with stage.client_of("bystander", PASSWORD) as bystander:
        stage.token = (await bystander.post(f"{API}/access-tokens", json={"name": "mine"})).json()["id"]


async def _add_project(stage: Stage, admin: httpx.AsyncClient, project: str) -> None:
    body = {"project_name": project, "public": project == OPEN}
    assert (await admin.post(f"{API}/projects", json=body)).status_code == 201
    stage.projects[project] = (await admin.get(f"{API}/projects/{project}")).json()["project_id"]
    for name in ("limited-guest", "guest", "developer", "team-lead", "project-admin"):
        await _join(stage, admin, project, name, BUILT_IN_ROLES[name].role_id)
    await _join(stage, admin, project, "password-due", 1)
    stage.members[project] = await _join(stage, admin, project, "bystander", 3)
    for repository in ("app", "doomed"):
        await admin.post(f"{API}/projects/{project}/repositories", json={"name": repository})
    label = {"name": "mine", "scope": "p", "project_id": stage.projects[project]}
    stage.labels[project] = made(await admin.post(f"{API}/labels", json=label))
    stage.robots[project] = await add_robot(admin, project, "bystander")
    robot = (await admin.post(f"{API}/robots", json=robot_body(project, "caller"))).json()
    stage.robot_secrets[project] = (robot["name"], robot["secret"])


async def _join(stage: Stage, admin: httpx.AsyncClient, project: str, name: str, role: int) -> int:
    body = {"role_id": role, "member_user": {"username": name}}
    return made(await admin.post(f"{API}/projects/{project}/members", json=body))


async def add_robot(admin: httpx.AsyncClient, project: str, name: str) -> int:
    """Make a robot of a project, of the system when none is named, and return its number."""
    return made(await admin.post(f"{API}/robots", json=robot_body(project, name)))


def robot_body(project: str, name: str) -> dict[str, Any]:
    """Return what asks for a robot of a project with the permissions of the caller, or of the system."""
    names = sorted(ROBOT_PERMISSIONS) if project else ["label:list"]
    access = [dict(zip(("resource", "action"), one.split(":"), strict=True)) for one in names]
    kind, namespace = ("project", project) if project else ("system", "/")
    return {
        "name": name,
        "level": kind,
        "duration": 7,
        "permissions": [{"kind": kind, "namespace": namespace, "access": access}],
    }
