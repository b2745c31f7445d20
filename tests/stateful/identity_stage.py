"""What all rules about identity stand on: one registry, its model, and how the two are asked the same question."""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from tests.stateful.identity_model import (
    ROLE_IDS,
    Bearer,
    Credential,
    GroupModel,
    PersonModel,
    ProjectModel,
    RobotModel,
    Session,
    may_read_project,
    rights,
)
from tests.stateful.material import INDEX_TYPE, digest_of, index_manifest
from tests.stateful.node import ADMINISTRATOR, basic, bearer

if TYPE_CHECKING:
    from tests.stateful.identity_model import Asker
    from tests.stateful.identity_world import IdentityWorld

__all__ = [
    "ACCESS",
    "GROUPS",
    "PEOPLE",
    "REPOSITORIES",
    "REQUESTABLE",
    "TAGS",
    "WATCHED",
    "IdentityStage",
    "any_number",
    "of_actions",
    "of_group",
    "of_person",
    "of_project",
    "of_repository",
    "of_robot",
    "of_role",
    "of_tag",
    "permissions_of",
    "refusal_of",
    "status_of_issue",
]

PEOPLE: Final = 3
GROUPS: Final = 2
PROJECTS: Final = 2
ROBOTS: Final = 2
REPOSITORIES: Final = ("app", "lib/deep")
TAGS: Final = ("one", "two")
REQUESTABLE: Final = frozenset({"pull", "push", "delete"})
ACCESS: Final = {
    "pull": ("repository", "pull"),
    "push": ("repository", "push"),
    "delete": ("repository", "delete"),
    "create": ("repository", "create"),
    "overwrite": ("tag", "overwrite"),
}
WATCHED: Final = 3
"""How many of the youngest bearer tokens and credentials are tried after each step, whatever it was."""

any_number = st.integers(0, 1000)
of_person = st.integers(0, PEOPLE - 1)
of_group = st.integers(0, GROUPS - 1)
of_project = st.integers(0, PROJECTS - 1)
of_robot = st.integers(0, ROBOTS - 1)
of_repository = st.sampled_from(REPOSITORIES)
of_tag = st.sampled_from(TAGS)
of_role = st.sampled_from([None, *ROLE_IDS])
of_actions = st.sets(st.sampled_from(sorted(REQUESTABLE)), min_size=1)


class IdentityStage(RuleBasedStateMachine):
    """Drives one registry, the `world` of a subclass; every sequence has people and projects of its own."""

    world: ClassVar[IdentityWorld]

    def __init__(self) -> None:
        super().__init__()
        self._world = self.world
        self._prefix = f"m{self._world.next_sequence()}"
        self._names = itertools.count()
        self._people: list[PersonModel] = []
        self._groups: list[GroupModel] = []
        self._projects: list[ProjectModel] = []
        self._robots: dict[int, RobotModel] = {}
        self._credentials: list[Credential] = []
        self._refresh_tokens: list[Credential] = []
        self._bearers: list[Bearer] = []
        self._sessions: list[Session] = []
        self._members: dict[tuple[ProjectModel, PersonModel | GroupModel], int] = {}
        self._assignments: dict[tuple[PersonModel | GroupModel, str], int] = {}
        self._administrator = PersonModel(
            ADMINISTRATOR[0], self._world.own_number(), ADMINISTRATOR[1], system_roles={"operations-admin"}
        )
        self._steps: int = 0
        self._touched: dict[PersonModel | RobotModel, None] = {}
        self._focus: int | None = None

    def _touch(self, *things: PersonModel | RobotModel, project: int | None = None) -> None:
        """Have all that these have tried after this step, in the project that the change is about."""
        self._touched.update(dict.fromkeys(things))
        self._focus = project

    def _people_of(self, holder: PersonModel | GroupModel) -> list[PersonModel]:
        """Return whom a role of a person or a group concerns."""
        return [person for person in self._people if holder is person or holder in person.groups]

    def _pull(self, answer: tuple[int, dict[str, str], frozenset[str]], project: int) -> None:
        refusal, headers, _ = answer
        place, repository = self._projects[project], REPOSITORIES[0]
        reply = self._world.request("GET", f"/v2/{place.name}/{repository}/tags/list", headers)
        assert reply.status == (refusal or (200 if repository in place.repositories else 404)), reply.body

    def _delete_nothing(self, answer: tuple[int, dict[str, str], frozenset[str]], project: int) -> None:
        """Delete a tag that is never there, which shows whether one may and changes nothing."""
        refusal, headers, _ = answer
        place, repository = self._projects[project], REPOSITORIES[0]
        reply = self._world.request("DELETE", f"/v2/{place.name}/{repository}/manifests/absent", headers)
        assert reply.status == (refusal or 404), reply.body

    def _read_project(self, credential: Credential, project: int) -> None:
        place = self._projects[project]
        headers = basic(credential.owner.name, credential.secret)
        reply = self._world.api("GET", f"projects/{place.name}", None, headers)
        allowed = may_read_project(credential.owner, place, credential.limits)
        assert reply.status == (refusal_of(credential) or (200 if allowed else 403)), (credential, reply.body)

    def _push(
        self,
        answer: tuple[int, dict[str, str], frozenset[str]],
        project: int,
        repository: str,
        tag: str,
        variant: int,
    ) -> None:
        refusal, headers, allowed = answer
        place, body = self._projects[project], index_manifest((), variant)
        reply = self._world.request(
            "PUT",
            f"/v2/{place.name}/{repository}/manifests/{tag}",
            headers | {"Content-Type": INDEX_TYPE},
            [body],
        )
        tags, digest = place.repositories.get(repository), digest_of(body)
        if not refusal and tags is None and "create" not in allowed:
            refusal = 403
        if (
            not refusal
            and tags is not None
            and tags.get(tag, digest) != digest
            and "overwrite" not in allowed
        ):
            refusal = 403
        assert reply.status == (refusal or 201), (allowed, reply.body)
        if not refusal:
            place.repositories.setdefault(repository, {})[tag] = digest

    def _by_bearer(
        self, token: Bearer, project: int, action: str
    ) -> tuple[int, dict[str, str], frozenset[str]]:
        """Return the status of the refusal, 0 for none, the headers, and what the token is good for."""
        allowed = token.good_for(self._projects[project])
        refusal = 0 if action in allowed else 401
        return refusal, bearer(token.token), allowed

    def _by_basic(
        self, credential: Credential, project: int, action: str
    ) -> tuple[int, dict[str, str], frozenset[str]]:
        allowed = rights(credential.owner, self._projects[project], credential.limits)
        refusal = refusal_of(credential) or (0 if action in allowed else 403)
        return refusal, basic(credential.owner.name, credential.secret), allowed

    def _answer(
        self, which: int, project: int, action: str, by_basic: bool
    ) -> tuple[int, dict[str, str], frozenset[str]]:
        """Return what is right for any credential or bearer token there ever was."""
        if by_basic or not self._bearers:
            return self._by_basic(self._credentials[which % len(self._credentials)], project, action)
        return self._by_bearer(self._bearers[which % len(self._bearers)], project, action)

    def _scopes(self, wanted: dict[int, set[str]]) -> list[str]:
        return [
            f"repository:{self._projects[slot].name}/{repository}:{','.join(sorted(actions))}"
            for slot, actions in wanted.items()
            for repository in REPOSITORIES
        ]

    def _take_bearer(
        self, asker: Asker, limits: Credential | None, token: str, wanted: dict[int, set[str]]
    ) -> None:
        """Check that a token says what it should, and keep it."""
        granted: dict[str, frozenset[str]] = {}
        versions: dict[PersonModel | RobotModel, int] = {}
        for slot, actions in wanted.items():
            project = self._projects[slot]
            allowed = rights(asker, project, limits)
            given = allowed & actions
            if "push" in given:
                given |= allowed & {"create", "overwrite"}
            if given:
                granted[project.name] = given
        said = {entry["name"]: frozenset(entry["actions"]) for entry in _access(token)}
        expected = {f"{name}/{each}": given for name, given in granted.items() for each in REPOSITORIES}
        assert said == expected, (asker, limits)
        if asker is not None:
            versions[asker] = asker.version
        if isinstance(asker, RobotModel):
            versions[asker.sponsor] = asker.sponsor.version
        self._bearers.append(Bearer(asker, limits, token, granted, versions))

    def _holder(self, number: int) -> PersonModel | GroupModel:
        return self._people[number] if number < PEOPLE else self._groups[number - PEOPLE]

    def _new_person(self, slot: int) -> PersonModel:
        name = f"{self._prefix}-person-{slot}"
        password = self._world.new_password(name)
        number = self._world.make("users", {"username": name, "password": password})
        person = PersonModel(name, number, password)
        self._credentials.append(Credential("password", person, password))
        return person

    def _new_project(self, slot: int) -> ProjectModel:
        name = f"{self._prefix}-project-{slot}"
        assert self._world.api("POST", "projects", {"project_name": name}).status == 201
        number = int(json.loads(self._world.api("GET", f"projects/{name}").body)["project_id"])
        return ProjectModel(name, number, members={self._administrator: "project-admin"})

    def _new_group(self, slot: int) -> GroupModel:
        name = f"{self._prefix}-group-{slot}"
        return GroupModel(name, self._world.make("usergroups", {"group_name": name, "group_type": 2}))

    def _take_password(self, person: PersonModel, password: str, *, must_change: bool) -> None:
        for credential in self._credentials:
            if credential.owner is person and credential.kind == "password":
                credential.ended = True
        person.version += 1
        person.password, person.must_change = password, must_change
        self._credentials.append(Credential("password", person, password))

    def _end_credentials(self, robot: RobotModel) -> None:
        for credential in self._credentials:
            credential.ended = credential.ended or credential.owner is robot

    def _may_make_robot(self, person: PersonModel, project: ProjectModel, *, everywhere: bool) -> bool:
        if person.must_change:
            return False
        if "operations-admin" in person.every_system_role():
            return True
        mine = {person, *person.groups}
        roles = {role for member, role in project.members.items() if member in mine}
        return not everywhere and "project-admin" in roles


def refusal_of(credential: Credential) -> int:
    """Return the status that a credential gets wherever it is presented, 0 when it depends."""
    if not credential.alive:
        return 401
    return 403 if credential.must_change else 0


def permissions_of(project: ProjectModel | None, allowed: set[str]) -> list[dict[str, object]]:
    """Return the entries of a robot of a project, or of one of the system for every project."""
    access = [dict(zip(("resource", "action"), ACCESS[action], strict=True)) for action in sorted(allowed)]
    return [{"kind": "project", "namespace": "*" if project is None else project.name, "access": access}]


def status_of_issue(credential: Credential) -> int:
    return refusal_of(credential) or 200


def _access(token: str) -> list[dict[str, Any]]:
    """Return what a bearer token says that it is good for."""
    payload = token.split(".")[1]
    claims: dict[str, list[dict[str, Any]]] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims["access"]
