"""Makes people, robots and what they may do in a registry, before its data directory is frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from tests.running.control_client import Account
from tests.running.with_accounts import ADMINISTRATOR, PASSWORD
from tests.upgrade.accounts import APPLICATION, Accounts, Holder

if TYPE_CHECKING:
    from tests.running.control_client import ControlClient
    from tests.upgrade.accounts import Json

__all__ = ["make_accounts"]

_TEAM: Final = "team"
_PULL: Final = ("repository:pull",)
_PUSH: Final = ("repository:pull", "repository:push", "artifact:create", "tag:create")
_NEXT_PASSWORD: Final = "Walnut-Harvest-73"  # of who changed theirs
_CHOSEN_SECRET: Final = "Granite+Lantern+41"  # of the robot that is given one
_SWEEPER: Final = {
    "name": "sweeper",
    "level": "project",
    "description": "Pulls and clears up, and never pushes.",
    "permissions": [*_PULL, "repository:delete", "artifact:delete", "tag:delete"],
}
_CONFIGURATION: Final = {"banner_message": "Kept.", "project_creation_restriction": "everyone"}
_CHANGING: Final = frozenset({"last_use_time", "update_time"})


def make_accounts(control: ControlClient, url: str) -> Accounts:
    """Fill a registry that has its first administrator and nothing else; the application comes later."""
    control.create_project(_TEAM)
    control.create_project("library", public="true")
    control.create_project("gone")
    control.call("DELETE", "/projects/gone")
    made = Accounts(ADMINISTRATOR)
    _make_people(control, made)
    _make_robots(control, made)
    _make_access_tokens(control, made)
    _set_something(control)
    made.refresh_token = _refresh_token(url, made.named("developer"))
    _leave_traces(control, made, url)
    made.documents = {path: _lasting(control.get(path)) for path in _paths(control)}
    made.documents["/configurations"] = {name: {"value": value} for name, value in _CONFIGURATION.items()}
    return made


def _make_people(control: ControlClient, made: Accounts) -> None:
    """Make one for each role, one who has hers by a group, and some whom nobody lets in or who may nothing."""
    roles = {
        "guest": ("pull",),
        "developer": ("pull", "push"),
        "team-lead": ("pull", "push", "delete"),
        "project-admin": ("pull", "push", "delete"),
    }
    for role, may in roles.items():
        _make_person(control, made, role, may)
        control.add_member(_TEAM, role, role)
    swept = control.call("POST", "/roles", _SWEEPER, status=201).created_id
    _make_person(control, made, "sweeper", ("pull", "delete"))
    _join(control, {"role_id": swept, "member_user": {"username": "sweeper"}})
    grouped = _make_person(control, made, "grouped", ("pull", "push"))
    named = {"group_name": "builders", "group_type": 2}
    group = control.call("POST", "/usergroups", named, status=201).created_id
    control.call("POST", f"/usergroups/{group}/members", {"user_id": grouped}, status=201)
    _join(control, {"role_id": 2, "member_group": {"group_name": "builders"}})
    operator = _make_person(control, made, "operator", ("pull", "push", "delete"))
    control.set_operations_admin(operator, flag=True)
    control.assign_system_role(_make_person(control, made, "auditor", ()), "auditor")
    made.readers_of_the_log = [made.named("auditor"), made.named("operator")]
    _make_person(control, made, "outsider", ())
    _make_those_who_changed(control, made)


def _make_those_who_changed(control: ControlClient, made: Accounts) -> None:
    """Make one with a second password, one who has to choose hers, one who was disabled, and one who was deleted."""
    number = _make_person(control, made, "changer", ("pull",), secret=_NEXT_PASSWORD, first=PASSWORD)
    control.add_member(_TEAM, "changer", "guest")
    words = {"old_password": PASSWORD, "new_password": _NEXT_PASSWORD}
    control.acting_as(Account("changer", PASSWORD)).call("PUT", f"/users/{number}/password", words)
    number = _make_person(control, made, "beginner", (), secret=_NEXT_PASSWORD, first=PASSWORD)
    control.add_member(_TEAM, "beginner", "developer")
    control.call("PUT", f"/users/{number}/password", {"new_password": _NEXT_PASSWORD})
    for name in ("disabled", "deleted"):
        number = control.create_user(Account(name, PASSWORD))
        control.add_member(_TEAM, name, "developer")
        if name == "disabled":
            control.call("PUT", f"/users/{number}/disabled", {"disabled": True})
        else:
            control.call("DELETE", f"/users/{number}")
        made.kept_out.append(Account(name, PASSWORD))
    made.kept_out += [Account("changer", PASSWORD), Account("guest", _NEXT_PASSWORD)]


def _make_person(
    control: ControlClient,
    made: Accounts,
    name: str,
    may: tuple[str, ...],
    *,
    secret: str = PASSWORD,
    first: str = "",
) -> int:
    made.holders.append(Holder(Account(name, secret), may))
    return control.create_user(Account(name, first or secret))


def _join(control: ControlClient, member: dict[str, object]) -> None:
    control.call("POST", f"/projects/{_TEAM}/members", member, status=201)


def _make_robots(control: ControlClient, made: Accounts) -> None:
    """Make them for ever; the project's are made by the person who answers for them."""
    sponsor = control.acting_as(made.named("project-admin"))
    made.holders += [
        Holder(sponsor.create_robot(_TEAM, "builder", _PUSH, duration=-1), ("pull", "push")),
        Holder(sponsor.create_robot(_TEAM, "reader", _PULL, duration=-1), ("pull",)),
        Holder(control.create_system_robot("mirror", {"*": _PUSH}, duration=-1), ("pull", "push")),
        Holder(
            control.create_system_robot("nightly", {_TEAM: _PULL}, duration=-1, secret=_CHOSEN_SECRET),
            ("pull",),
        ),
        Holder(control.create_system_robot("elsewhere", {"library": _PUSH}, duration=-1), ()),
    ]
    made.kept_out += [
        sponsor.create_robot(_TEAM, "idle", _PUSH, duration=-1, disable=True),
        sponsor.create_robot(_TEAM, "far", _PULL, duration=-1, allowed_addresses=["192.0.2.0/24"]),
    ]


def _make_access_tokens(control: ControlClient, made: Accounts) -> None:
    developer = control.acting_as(made.named("developer"))
    tokens: dict[str, tuple[dict[str, list[str]], tuple[str, ...]]] = {
        "whole": ({}, ("pull", "push")),
        "pulling": ({"permissions": [*_PULL]}, ("pull",)),
        "elsewhere": ({"projects": ["library"]}, ()),
    }
    made.holders += [
        Holder(developer.create_access_token(name, **limits), may) for name, (limits, may) in tokens.items()
    ]


def _set_something(control: ControlClient) -> None:
    control.call(
        "PUT", f"/projects/{_TEAM}", {"metadata": {"reuse_sys_cve_allowlist": "true", "severity": "high"}}
    )
    project = control.get(f"/projects/{_TEAM}")["project_id"]
    for label in (
        {"name": "released", "scope": "g", "color": "#00ab9a"},
        {"name": "tried", "scope": "p", "project_id": project, "description": "Somebody ran it."},
    ):
        control.call("POST", "/labels", label, status=201)
    control.call("PUT", "/configurations", _CONFIGURATION)


def _refresh_token(url: str, account: Account) -> str:
    asked = {"service": "entrepot", "offline_token": "true", "client_id": "docker"}
    answer = httpx.get(f"{url}/service/token", params=asked, auth=(account.name, account.secret), timeout=30)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["refresh_token"]
    return token


def _leave_traces(control: ControlClient, made: Accounts, url: str) -> None:
    """Begin a session, give a wrong password, read the log, and be refused: what nodes note in files, too."""
    lead, outsider = made.named("team-lead"), made.named("outsider")
    for secret, status in ((lead.secret, 201), (_NEXT_PASSWORD, 401)):
        document = {"username": lead.name, "password": secret}
        control.acting_as(None).call("POST", "/sessions", document, status=status)
    control.acting_as(made.named("auditor")).get("/audit-logs")
    path = f"{url}/v2/{APPLICATION}/tags/list"
    assert httpx.get(path, auth=(outsider.name, outsider.secret), timeout=30).status_code == 403


def _paths(control: ControlClient) -> list[str]:
    """Return what shows things that somebody made; built-in ones may become other with a version."""
    project = control.get(f"/projects/{_TEAM}")["project_id"]
    group = control.get("/usergroups")[0]["id"]
    (role,) = [role["id"] for role in control.get("/roles?page_size=100") if not role["builtin"]]
    return [
        "/users?page_size=100",
        "/usergroups",
        f"/usergroups/{group}/members",
        f"/roles/{role}",
        "/role-assignments?page_size=100",
        f"/projects/{_TEAM}/metadatas",
        "/projects/library/metadatas",
        f"/projects/{_TEAM}/members?page_size=100",
        "/labels?scope=g",
        f"/labels?scope=p&project_id={project}",
        "/robots?page_size=100",
        f"/robots?page_size=100&q=Level%3Dproject%2CProjectID%3D{project}",
    ]


def _lasting(document: Json) -> Json:
    """Return a document without what changes whenever something is used."""
    if isinstance(document, list):
        return [_lasting(entry) for entry in document]
    if isinstance(document, dict):
        return {name: _lasting(value) for name, value in document.items() if name not in _CHANGING}
    return document
