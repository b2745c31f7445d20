"""What somebody tries who may do one thing alone, for each endpoint that changes something, and what becomes of it.

By operation and aspect, as the rows of the matrix are. A new endpoint needs an entry: :class:`Lone` says what one is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from tests.integration.control_api.matrix.stage import PASSWORD
from tests.integration.control_api.matrix.targets import LoneRole, Target, robot_entries

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GUESS", "LONE_RIGHTS", "Attempt", "Lone", "Scene"]

GUESS: Final = "Nv4#tundra-Bolt"
"""What is written wherever a password or a secret is chosen: afterwards it must open no account of a target."""
_ADMINISTRATOR: Final = 7


@dataclass(frozen=True, slots=True)
class Scene:
    """Who acts on whom.

    Attributes:
        actor: number of the person who acts.
        own_member: their own membership in the project.
        accomplice: number of a person who has no rights at all.
        turn: differs from attempt to attempt, for names.
    """

    target: Target
    role: LoneRole
    actor: int
    own_member: int
    accomplice: int
    turn: str


def _nothing(scene: Scene) -> dict[str, Any] | None:
    del scene
    return None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request, and what is answered where the target holds everything, and where it holds no more than the actor.

    Attributes:
        body: what is sent.
        values: what the path names instead of the target's.
    """

    mighty: int
    equal: int
    body: Callable[[Scene], dict[str, Any] | None] = _nothing
    values: Callable[[Scene], dict[str, Any]] = field(default=lambda _: {})


@dataclass(frozen=True, slots=True)
class Lone:
    """An endpoint.

    Attributes:
        attempts: in order, on one target. One on an equal target that passes shows that its body fits.
        changes: tables in which a target that holds everything is changed, with reason: see `why`.
        also: what the actor holds besides: what a target can hold that is no more, or what the matrix does not show.
    """

    attempts: tuple[Attempt, ...]
    changes: frozenset[str] = frozenset()
    why: str = ""
    also: tuple[str, ...] = ()


def _body(**fields: Any) -> Callable[[Scene], dict[str, Any]]:
    return lambda _: fields


def _refused(equal: int = 200, body: Callable[[Scene], dict[str, Any] | None] = _nothing) -> Attempt:
    return Attempt(403, equal, body)


def _done(status: int, body: Callable[[Scene], dict[str, Any] | None] = _nothing) -> Attempt:
    return Attempt(status, status, body)


def _on_actor(status: int, body: Callable[[Scene], dict[str, Any]]) -> Attempt:
    return Attempt(status, status, body, lambda scene: {"user_id": scene.actor, "mid": scene.own_member})


def _robot(scene: Scene, *, mighty: bool) -> dict[str, Any]:
    project = scene.target.project
    return {
        "name": scene.turn,
        "level": "project" if project else "system",
        "duration": 7,
        "secret": GUESS,
        "permissions": robot_entries(project, mighty=mighty, held=scene.role.permissions),
    }


def _label(scene: Scene) -> dict[str, Any]:
    if scene.target.project:
        return {"name": scene.turn, "scope": "p", "project_id": scene.target.values["project_number"]}
    return {"name": scene.turn, "scope": "g"}


def _member(role: int | None, *, actor: bool = False) -> Callable[[Scene], dict[str, Any]]:
    return lambda scene: {
        "role_id": scene.role.number if role is None else role,
        "member_user": {"user_id": scene.actor if actor else scene.accomplice},
    }


_OPENED: Final = {"public": "true"}
_CREATING: Final = {"repository_creation": "developers"}
_CONTENT: Final = "what lies in projects and is nobody's account"
_SWITCHED_OFF: Final = (
    "whoever may update or delete robots may describe, disable, cut and remove them all: decision 33, since a robot "
    "that does harm has to be stopped"
)
_LABELS: Final = ("label:list",)
_ROBOT_CHANGES: Final = Lone(
    (
        _refused(
            403, lambda scene: {"permissions": robot_entries(scene.target.project, mighty=True, held=())}
        ),
        _refused(200, _body(duration=9)),
        _refused(200, _body(expires_in_days=7)),
        _refused(200, _body(allowed_addresses=["192.0.2.0/24"])),
        _done(200, _body(description="seen")),
        _done(200, _body(disable=True)),
        _refused(200, _body(disable=False)),
        _done(
            200,
            lambda scene: {
                "permissions": robot_entries(scene.target.project, mighty=False, held=scene.role.permissions)
            },
        ),
    ),
    frozenset({"robots", "subjects"}),
    _SWITCHED_OFF,
    _LABELS,
)
_ROBOT_SECRETS: Final = Lone(
    (_refused(200, _body(secret="")), _refused(200, _body(secret=GUESS))), also=_LABELS
)
_ROBOT_CREATION: Final = Lone(
    (
        _done(403, lambda scene: _robot(scene, mighty=True)),
        _done(201, lambda scene: _robot(scene, mighty=False)),
    ),
    also=_LABELS,
)
_ROBOT_DELETION: Final = Lone((_done(200),), frozenset({"robots", "subjects"}), _SWITCHED_OFF, _LABELS)
_MADE_LABEL: Final = Lone((_done(201, _label),), why=_CONTENT)
_CHANGED_LABEL: Final = Lone((_done(200, lambda scene: {"name": scene.turn}),), why=_CONTENT)
_DELETED_LABEL: Final = Lone((_done(200),), why=_CONTENT)
_SETTINGS: Final = (_done(403, _body(**_OPENED)), _done(403, _body(**_CREATING)))

LONE_RIGHTS: Final[dict[tuple[str, str], Lone]] = {
    # Oneself, and nobody else.
    ("api.login", ""): Lone(
        (_done(401, lambda scene: {"principal": scene.target.name, "password": GUESS}),),
        frozenset({"login_failures"}),
        "a wrong password counts, from one address",
    ),
    ("api.logout", ""): Lone((_done(200),)),
    ("api.session.create", ""): Lone(
        (_done(401, lambda scene: {"username": scene.target.name, "password": GUESS}),),
        frozenset({"login_failures"}),
        "as for a login",
    ),
    ("api.user.update", "own"): Lone((_on_actor(200, _body(email="own@example.org")),)),
    ("api.user.set-password", "own"): Lone(
        (_on_actor(400, _body(old_password=PASSWORD, new_password="short")),)
    ),
    ("api.access-token.create", ""): Lone((_done(201, lambda scene: {"name": scene.turn}),)),
    ("api.access-token.delete", ""): Lone((_done(404),)),
    # People.
    ("api.session.delete", ""): Lone((_refused(),), also=("session:delete",)),
    ("api.user.create", ""): Lone((_done(201, lambda scene: {"username": scene.turn, "password": GUESS}),)),
    ("api.user.update", "of others"): Lone((_refused(200, _body(email="taken@example.org")),)),
    ("api.user.delete", ""): Lone((_refused(),)),
    ("api.user.set-administrator", ""): Lone(
        (
            _done(403, _body(sysadmin_flag=True)),
            _done(403, _body(sysadmin_flag=False)),
            _on_actor(403, _body(sysadmin_flag=True)),
        )
    ),
    ("api.user.set-password", "of others"): Lone((_refused(200, _body(new_password=GUESS)),)),
    ("api.user.unlock", ""): Lone((_refused(),)),
    ("api.user.set-disabled", ""): Lone(
        (_refused(200, _body(disabled=True)), _refused(200, _body(disabled=False)))
    ),
    ("api.access-token.delete-of-person", ""): Lone((_refused(),)),
    # Groups.
    ("api.group.create", ""): Lone((_done(201, lambda scene: {"group_name": scene.turn}),)),
    ("api.group.update", ""): Lone((_refused(200, lambda scene: {"group_name": scene.turn}),)),
    ("api.group.delete", ""): Lone((_refused(),)),
    ("api.group-member.replace", ""): Lone((_refused(200, lambda scene: {"user_ids": [scene.actor]}),)),
    ("api.group-member.add", ""): Lone((_refused(201, lambda scene: {"user_id": scene.actor}),)),
    ("api.group-member.remove", ""): Lone((_refused(),)),
    # Roles.
    ("api.role.create", ""): Lone(
        (
            _done(
                403,
                lambda scene: {"name": scene.turn, "level": "system", "permissions": [*SYSTEM_PERMISSIONS]},
            ),
            _done(
                403,
                lambda scene: {"name": scene.turn, "level": "project", "permissions": [*PROJECT_PERMISSIONS]},
            ),
            _done(
                201,
                lambda scene: {
                    "name": scene.turn,
                    "level": "system",
                    "permissions": [*scene.role.permissions],
                },
            ),
        )
    ),
    ("api.role.update", ""): Lone(
        (
            _done(403, lambda _: {"permissions": [*SYSTEM_PERMISSIONS]}),
            _refused(200, lambda scene: {"permissions": [*scene.role.permissions]}),
            _refused(200, _body(permissions=["label:list"])),
        ),
        also=_LABELS,
    ),
    ("api.role.delete", ""): Lone((Attempt(412, 200),)),
    ("api.role-assignment.create", ""): Lone(
        (
            _done(403, lambda scene: {"subject_id": scene.actor, "role_id": _ADMINISTRATOR}),
            _done(403, lambda scene: {"subject_id": scene.accomplice, "role_id": 6}),
            Attempt(201, 409, lambda scene: {"subject_id": scene.accomplice, "role": scene.role.name}),
        )
    ),
    ("api.role-assignment.delete", ""): Lone((_refused(),)),
    # Projects.
    ("api.project.create", ""): Lone((_done(201, lambda scene: {"project_name": scene.turn}),)),
    ("api.project.update", ""): Lone(
        (
            _done(403, _body(metadata=_OPENED)),
            _done(403, _body(metadata=_CREATING)),
            _done(200, _body(metadata={"severity": "high"})),
        )
    ),
    ("api.project.delete", ""): Lone((Attempt(412, 200),)),
    ("api.metadata.create", ""): Lone((*_SETTINGS, _done(200, _body(severity="high")))),
    ("api.metadata.update", ""): Lone(
        (
            Attempt(403, 403, _body(**_OPENED), lambda _: {"meta_name": "public"}),
            Attempt(403, 403, _body(**_CREATING), lambda _: {"meta_name": "repository_creation"}),
            _done(200, _body(severity="high")),
        )
    ),
    ("api.metadata.delete", ""): Lone((_done(200),)),
    ("api.member.create", ""): Lone(
        (
            _done(403, _member(1)),
            _done(403, _member(1, actor=True)),
            _done(201, _member(None)),
        )
    ),
    ("api.member.update", ""): Lone(
        (
            _refused(200, lambda scene: {"role_id": scene.role.number}),
            _done(403, _body(role_id=1)),
            _on_actor(403, _body(role_id=1)),
        )
    ),
    ("api.member.delete", ""): Lone((_refused(),)),
    ("api.repository.create", ""): Lone((_done(201, lambda scene: {"name": scene.turn}),), why=_CONTENT),
    ("api.repository.update", ""): Lone((Attempt(200, 404, _body(description="seen")),), why=_CONTENT),
    ("api.repository.delete", ""): Lone((Attempt(200, 404),), why=_CONTENT),
    # Robots and labels.
    ("api.robot.create", "on the system"): _ROBOT_CREATION,
    ("api.robot.create", "in the project"): _ROBOT_CREATION,
    ("api.robot.update", "on the system"): _ROBOT_CHANGES,
    ("api.robot.update", "in the project"): _ROBOT_CHANGES,
    ("api.robot.replace-secret", "on the system"): _ROBOT_SECRETS,
    ("api.robot.replace-secret", "in the project"): _ROBOT_SECRETS,
    ("api.robot.delete", "on the system"): _ROBOT_DELETION,
    ("api.robot.delete", "in the project"): _ROBOT_DELETION,
    ("api.label.create", "on the system"): _MADE_LABEL,
    ("api.label.create", "in the project"): _MADE_LABEL,
    ("api.label.update", "on the system"): _CHANGED_LABEL,
    ("api.label.update", "in the project"): _CHANGED_LABEL,
    ("api.label.delete", "on the system"): _DELETED_LABEL,
    ("api.label.delete", "in the project"): _DELETED_LABEL,
    # Settings of all.
    ("api.configuration.update", ""): Lone(
        (
            _done(403, _body(project_creation_restriction="everyone")),
            _done(200, _body(banner_message="Sunday")),
        )
    ),
    # The data plane.
    ("manifest.push", ""): Lone((_done(400),), why=_CONTENT),
    ("manifest.delete", ""): Lone((_done(404),), why=_CONTENT),
    ("blob.delete", ""): Lone((_done(404),), why=_CONTENT),
    ("upload.begin", ""): Lone((Attempt(202, 403),), why=_CONTENT),
    ("upload.begin", "new repository"): Lone((_done(202),), why=_CONTENT),
    ("upload.append", ""): Lone((_done(404),), why=_CONTENT),
    ("upload.finish", ""): Lone((_done(400),), why=_CONTENT),
    ("upload.cancel", ""): Lone((_done(404),), why=_CONTENT),
}
