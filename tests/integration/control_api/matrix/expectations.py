"""What is expected of every endpoint for every caller: derived from its declaration and from the table of roles.

The matrix test asks the running registry each cell; the reference page is made of the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from entrepot.auth.grants import Delete, Pull, Push
from entrepot.auth.project_actions import ProjectAction
from entrepot.auth.roles import BUILT_IN_ROLES, PUBLIC_PERMISSIONS
from entrepot.auth.system_actions import SystemAction
from entrepot.control_api.routes import all_endpoints
from entrepot.distribution_api.routes import ROUTES, RepositoryRoute

if TYPE_CHECKING:
    from entrepot.auth.grants import Action
    from entrepot.control_api.declarations import AnyEndpoint
    from entrepot.distribution_api.routes import Route

__all__ = ["CALLERS", "ROBOT_PERMISSIONS", "Aspect", "Caller", "Row", "is_allowed", "rows"]

Caller = Literal[
    "anonymous",
    "outsider",
    "limited-guest",
    "guest",
    "developer",
    "team-lead",
    "project-admin",
    "auditor",
    "operations-admin",
    "robot",
    "password-due",
]
_Who = Literal[
    "everybody",
    "everybody at ease",
    "somebody",
    "people",
    "person at ease",
    "anybody at ease",
    "person at ease, or whom roles allow",
    "whom roles allow",
]
Aspect = Literal["", "own", "of others", "on the system", "in the project", "new repository"]
"""What of an endpoint a row is about, where that decides which permission it takes."""

CALLERS: Final[tuple[Caller, ...]] = (
    "anonymous",
    "outsider",
    "limited-guest",
    "guest",
    "developer",
    "team-lead",
    "project-admin",
    "auditor",
    "operations-admin",
    "robot",
    "password-due",
)
"""Members have their role in the project that is asked about, auditors and operations administrators on the system.
The robot is one of the project; whose password is due is an administrator of the project otherwise."""

ROBOT_PERMISSIONS: Final = frozenset(
    {"repository:pull", "repository:push", "repository:read", "artifact:read"}
)
_ON_SYSTEM: Final = frozenset({"auditor", "operations-admin"})
_MEMBERS: Final = frozenset({"limited-guest", "guest", "developer", "team-lead", "project-admin"})
_BY_ACTION: Final[dict[type[Action], str]] = {
    Pull: "repository:pull",
    Push: "repository:push",
    Delete: "repository:delete",
}
_NEVER_OWN: Final = "api.project.create"
"""Who may not make projects may where a setting lets everybody; here, as by default, it does not."""
_ANYWHERE: Final = "api.permission.list"
"""Who may create robots in some project need not say in which."""
_OWN_PASSWORD: Final = "api.user.set-password"
"""Also where that is due."""
_PASSWORD_ONLY: Final = "api.access-token."
"""Access tokens are for people, who have chosen their password themselves."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the matrix.

    Attributes:
        needs: names of permissions, all of which it takes; on the system, unless `in_project`.
        or_in_a_project: whether those in some project do as well, whichever it is.
        who: who may without any permission; at ease is whose password is not due, and who has none.
        is_gated: whether the endpoint itself asks for its grants, so that only its success shows that it has them.
    """

    operation: str
    method: str
    path: str
    aspect: Aspect = ""
    needs: tuple[str, ...] = ()
    in_project: bool = False
    or_in_a_project: bool = False
    who: _Who = "whom roles allow"
    is_gated: bool = False


def rows() -> tuple[Row, ...]:
    """Return all rows: of the management API as it is declared, then of the data plane as it is routed."""
    declared = [row for endpoint in all_endpoints() for row in _of_endpoint(endpoint)]
    return (*declared, *(row for route in ROUTES for row in _of_route(route)))


def is_allowed(row: Row, caller: Caller, *, is_public: bool) -> bool:
    """Return whether the caller is let through; whether what they ask for can be done is another question."""
    if caller == "anonymous" and row.who not in {"everybody", "everybody at ease", "whom roles allow"}:
        return False
    match row.who:
        case "everybody" | "everybody at ease":
            return row.who == "everybody" or caller != "password-due"
        case "somebody":
            return True
        case "people":
            return caller != "robot"
        case "person at ease":
            return caller not in {"robot", "password-due"}
        case "anybody at ease":
            return caller != "password-due"
        case "person at ease, or whom roles allow" | "whom roles allow":
            if row.who != "whom roles allow" and caller != "robot":
                return caller != "password-due"
            held = _in_project(caller, is_public=is_public) if row.in_project else _on_system(caller)
            if row.or_in_a_project:
                held |= _in_project(caller, is_public=False)
            return held >= set(row.needs)


def _in_project(caller: Caller, *, is_public: bool) -> frozenset[str]:
    if caller == "password-due":
        return frozenset()
    public = PUBLIC_PERMISSIONS if is_public else frozenset[str]()
    if caller == "robot":
        return ROBOT_PERMISSIONS | public
    has_role = caller in _MEMBERS | _ON_SYSTEM
    return BUILT_IN_ROLES[caller].project | public if has_role else public


def _on_system(caller: Caller) -> frozenset[str]:
    return BUILT_IN_ROLES[caller].system if caller in _ON_SYSTEM else frozenset()


def _of_endpoint(endpoint: AnyEndpoint) -> list[Row]:
    demand = endpoint.demand
    head = (endpoint.operation, endpoint.method, endpoint.path)
    on_system = tuple(one.permission.name for one in demand.actions if issubclass(one, SystemAction))
    in_project = tuple(one.permission.name for one in demand.actions if issubclass(one, ProjectAction))
    match demand.kind:
        case "public" | "anyone at all" | "anyone":
            return [Row(*head, who="everybody at ease" if demand.kind == "anyone" else "everybody")]
        case "own password":
            return [Row(*head, who="somebody")]
        case "self" | "own credential":
            if endpoint.operation.startswith(_PASSWORD_ONLY):
                return [Row(*head, who="person at ease")]
            return [Row(*head, who="anybody at ease")]
        case "person or":
            return [Row(*head, "", on_system, who="person at ease, or whom roles allow")]
        case "own or one of":
            return _of_own(endpoint.operation, head, on_system)
        case "project":
            return [Row(*head, "", in_project, in_project=True)]
        case _:
            gated = demand.kind.endswith("one of")
            anywhere = endpoint.operation == _ANYWHERE
            person = demand.kind == "person or one of"
            who: _Who = "person at ease, or whom roles allow" if person else "whom roles allow"
            aspect: Aspect = "on the system" if in_project else ""
            rows = [Row(*head, aspect, on_system, or_in_a_project=anywhere, who=who, is_gated=gated)]
            if in_project:
                rows.append(Row(*head, "in the project", in_project, in_project=True, is_gated=gated))
            return rows


def _of_own(operation: str, head: tuple[str, str, str], on_system: tuple[str, ...]) -> list[Row]:
    if operation == "api.session.delete":
        return [Row(*head, who="anybody at ease")]  # what one may not end is answered as what is not there
    if operation == _NEVER_OWN:
        return [Row(*head, "", on_system, is_gated=True)]
    others = Row(*head, "of others", on_system, is_gated=True)
    if operation == "api.session.list":
        return [Row(*head, "own", who="anybody at ease", is_gated=True), others]
    who: Literal["people", "person at ease"] = "people" if operation == _OWN_PASSWORD else "person at ease"
    return [Row(*head, "own", who=who, is_gated=True), others]  # a robot has none


def _of_route(route: Route) -> list[Row]:
    made: list[Row] = []
    for method in route.methods:
        head = (route.operation, method, route.endpoint.value)
        if isinstance(route, RepositoryRoute):
            needed = (_BY_ACTION[route.action],)
            made.append(Row(*head, "", needed, in_project=True))
            if route.operation == "upload.begin":
                creating = (*needed, "repository:create")
                made.append(Row(*head, "new repository", creating, in_project=True))
        elif route.operation == "catalog.list":
            made.append(Row(*head, "", ("catalog:read",)))
        else:
            made.append(Row(*head, who="anybody at ease"))
    return made
