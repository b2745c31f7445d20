"""Changes of people, roles, robots and credentials in any order: those may who may, and nobody else (I6).

Every answer has exactly one right status, that of the model. So a right that nobody gave shows as much as one that is
refused to whoever has it, and a credential or token that outlives what it was issued under shows at once (S14).
"""

from __future__ import annotations

import json

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from entrepot.auth.access_tokens.access_tokens import NewAccessToken
from tests.stateful.identity_endings import IdentityEndings
from tests.stateful.identity_model import (
    ACTIONS,
    Credential,
    may_list,
    may_read_project,
)
from tests.stateful.identity_stage import (
    GROUPS,
    PEOPLE,
    PROJECTS,
    REQUESTABLE,
    any_number,
    of_actions,
    of_person,
    of_project,
    of_repository,
    of_tag,
    refusal_of,
    status_of_issue,
)
from tests.stateful.node import basic, bearer

__all__ = ["IdentityMachine"]


class IdentityMachine(IdentityEndings):
    """Drives one registry, the `world` of a subclass; every sequence has people and projects of its own."""

    @initialize()
    def begin(self) -> None:
        """Make people, groups, two projects of the first administrator's, and one of each thing to be taken away.

        A sequence that had to draw all of this first would seldom come to what follows from it.
        """
        note(f"names begin with {self._prefix}")
        for slot in range(PEOPLE):
            self._people.append(self._new_person(slot))
        for slot in range(GROUPS):
            self._groups.append(self._new_group(slot))
        for slot in range(PROJECTS):
            self._projects.append(self._new_project(slot))
        self.set_member(0, 0, "project-admin")
        self.set_group(0, {1})
        self.set_group(1, {0})
        self.toggle_system_role(PEOPLE + 1, "developer")
        self.set_member(0, PEOPLE, "developer")
        self.make_robot(0, 0, 0, set(ACTIONS), everywhere=False)
        self.toggle_system_role(2, "developer")
        self.set_administrator(2, give=True)
        self.make_robot(1, 0, 2, set(ACTIONS), everywhere=True)
        self.make_access_token(0, {"pull", "push"}, 0)
        for which in range(len(self._credentials)):
            self.issue(which, {slot: set(REQUESTABLE) for slot in range(PROJECTS)}, offline=which % 2 == 1)
        self._settle(*self._people, *self._robots.values())

    # People

    @rule(
        slot=of_person,
        permissions=st.none() | st.sets(st.sampled_from(["pull", "push", "delete"]), min_size=1),
        project=st.none() | of_project,
    )
    def make_access_token(self, slot: int, permissions: set[str] | None, project: int | None) -> None:
        """Let a person make an access token with limits (S15)."""
        person = self._people[slot]
        if not person.present or person.must_change:
            return
        names = None if permissions is None else [f"repository:{action}" for action in sorted(permissions)]
        projects = None if project is None else [self._projects[project].name]
        asked = NewAccessToken(f"token-{next(self._names)}", names, projects)
        made = self._world.create_access_token(person.name, person.password, asked)
        self._credentials.append(
            Credential(
                "token",
                person,
                made.secret,
                made.token.public_id,
                None if names is None else frozenset(names),
                None if projects is None else frozenset(projects),
            )
        )

    @rule(slot=of_person)
    def log_in(self, slot: int) -> None:
        """Begin a session of a browser."""
        self._begin_session(self._people[slot])

    # Bearer tokens

    @rule(which=any_number, wanted=st.dictionaries(of_project, of_actions, min_size=1), offline=st.booleans())
    def issue(self, which: int, wanted: dict[int, set[str]], offline: bool) -> None:
        """Ask for a bearer token with any credential there ever was: it is granted exactly what may be (T6)."""
        credential = self._credentials[which % len(self._credentials)]
        headers = basic(credential.owner.name, credential.secret)
        reply = self._world.issue(self._scopes(wanted), headers, offline=offline)
        assert reply.status == status_of_issue(credential), (credential, reply.body)
        if reply.status == 200:
            body = json.loads(reply.body)
            self._take_bearer(credential.owner, credential.limits, body["token"], wanted)
            if offline:
                self._refresh_tokens.append(
                    Credential(
                        "refresh",
                        credential.owner,
                        body["refresh_token"],
                        version=credential.owner.version,
                        parent=credential.limits,
                    )
                )

    @rule(which=any_number, wanted=st.dictionaries(of_project, of_actions, min_size=1))
    def redeem(self, which: int, wanted: dict[int, set[str]]) -> None:
        """Ask for a bearer token with any refresh token there ever was."""
        if not self._refresh_tokens:
            return
        credential = self._refresh_tokens[which % len(self._refresh_tokens)]
        reply = self._world.redeem(credential.secret, self._scopes(wanted))
        alive = credential.alive
        assert reply.status == (200 if alive else 401), (credential, reply.body)
        if alive:
            token = json.loads(reply.body)["access_token"]
            self._take_bearer(credential.owner, credential.limits, token, wanted)

    @rule(wanted=st.dictionaries(of_project, of_actions, min_size=1))
    def issue_to_nobody(self, wanted: dict[int, set[str]]) -> None:
        """Ask for a bearer token without credentials."""
        reply = self._world.issue(self._scopes(wanted), {}, offline=False)
        assert reply.status == 200
        self._take_bearer(None, None, json.loads(reply.body)["token"], wanted)

    # Use

    @rule(
        which=any_number,
        project=of_project,
        repository=of_repository,
        tag=of_tag,
        variant=st.integers(0, 2),
        by_basic=st.booleans(),
    )
    def push(self, which: int, project: int, repository: str, tag: str, variant: int, by_basic: bool) -> None:
        """Push with any bearer token or credential there ever was."""
        self._push(self._answer(which, project, "push", by_basic), project, repository, tag, variant)

    @rule(which=any_number, project=of_project, repository=of_repository, tag=of_tag, by_basic=st.booleans())
    def delete_tag(self, which: int, project: int, repository: str, tag: str, by_basic: bool) -> None:
        """Delete a tag, with any bearer token or credential there ever was."""
        refusal, headers, _ = self._answer(which, project, "delete", by_basic)
        place = self._projects[project]
        reply = self._world.request("DELETE", f"/v2/{place.name}/{repository}/manifests/{tag}", headers)
        tags = place.repositories.get(repository, {})
        assert reply.status == (refusal or (202 if tag in tags else 404)), reply.body
        if not refusal:
            tags.pop(tag, None)

    @rule(which=any_number)
    def look_at_lists(self, which: int) -> None:
        """Ask for people and repositories, and for projects: those are listed that can be read, no others (S19)."""
        credential = self._credentials[which % len(self._credentials)]
        headers = basic(credential.owner.name, credential.secret)
        allowed = may_list(credential.owner, "user:list", credential.limits)
        reply = self._world.api("GET", "users", None, headers)
        assert reply.status == (refusal_of(credential) or (200 if allowed else 403)), reply.body
        allowed = may_list(credential.owner, "catalog:read", credential.limits)
        reply = self._world.request("GET", "/v2/_catalog?n=1", headers)
        assert reply.status == (refusal_of(credential) or (200 if allowed else 403)), reply.body
        askers = [(credential.owner, credential.limits, basic(credential.owner.name, credential.secret))]
        if refusal_of(credential):
            askers.clear()
        for owner, limits, headers in [*askers, (None, None, dict[str, str]())]:
            reply = self._world.api("GET", f"projects?name={self._prefix}-", None, headers)
            assert reply.status == 200, reply.body
            listed = {project["name"] for project in json.loads(reply.body)}
            expected = {each.name for each in self._projects if may_read_project(owner, each, limits)}
            assert listed == expected, (credential, headers)

    @rule(which=any_number)
    def present_another_kind(self, which: int) -> None:
        """A secret is good for nothing but what it is made for (T10)."""
        secrets = [*self._refresh_tokens, *self._credentials]
        credential = secrets[which % len(secrets)]
        assert self._world.request("GET", "/v2/", bearer(credential.secret)).status == 401
        if credential.kind == "refresh":
            headers = basic(credential.owner.name, credential.secret)
            assert self._world.request("GET", "/v2/", headers).status == 401
        elif len(credential.secret) > 30:
            assert self._world.redeem(credential.secret, ["registry:catalog:*"]).status == 401
