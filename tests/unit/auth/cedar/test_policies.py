"""The policies say what the article and the issue say, and whatever is not plainly allowed is refused."""

from __future__ import annotations

from typing import Final

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.auth.cedar.engine import InvalidPoliciesError, PolicyEngine
from entrepot.auth.cedar.policies import render_policies
from entrepot.auth.cedar.questions import Asker, Subject
from entrepot.auth.cedar.schema import NAMESPACE, SYSTEM_PREFIX
from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from entrepot.auth.roles import BUILT_IN_ROLES

_ENGINE: Final = PolicyEngine()
_ASKING: Final = PolicyEngine(render_policies())
"""The same policies as if somebody had written them: Cedar is asked in any case."""
_ANYBODY: Final = Subject("Anonymous", "anonymous")
_ALL_IN_PROJECT: Final = frozenset(PROJECT_PERMISSIONS)
_ALL_ON_SYSTEM: Final = frozenset(SYSTEM_PERMISSIONS)

_ACTIONS: Final = sorted(_ALL_IN_PROJECT) + [SYSTEM_PREFIX + name for name in sorted(_ALL_ON_SYSTEM)]

_DATA_PLANE: Final = (
    "repository:pull",
    "repository:push",
    "repository:delete",
    "repository:create",
    "tag:overwrite",
)

# Pull, push, delete, create, overwrite; written from the texts, not from the table that the policies are made of.
_BY_ROLE: Final = {
    "guest": "y....",
    "limited-guest": "y....",
    "developer": "yy..y",
    "team-lead": "yyy.y",
    "project-admin": "yyyyy",
    "auditor": ".....",
    "operations-admin": "yyyyy",
}


def _cells(allowed: frozenset[str]) -> str:
    return "".join("y" if permission in allowed else "." for permission in _DATA_PLANE)


def _user(
    *, project_role: str = "", system_role: str = "", permissions: frozenset[str] = frozenset()
) -> Subject:
    return Subject(
        "User",
        "u",
        permissions,
        frozenset({project_role} - {""}),
        frozenset({system_role} - {""}),
    )


@pytest.mark.parametrize(("role", "cells"), _BY_ROLE.items())
def test_s10_each_role_does_on_the_data_plane_what_the_article_says(role: str, cells: str) -> None:
    in_project = _user(project_role=role)
    on_system = _user(system_role=role)
    everywhere = [
        _cells(_ENGINE.in_repository(subject, _DATA_PLANE, "team", "team/app", is_public=public))
        for subject in (in_project, on_system)
        for public in (False, True)
    ]

    # Nobody is a member with the role that is for the system only; pulling is everybody's in a public project.
    member = "....." if role == "operations-admin" else cells
    assert everywhere == [member, "y" + member[1:], cells, "y" + cells[1:]]


def test_every_role_is_in_the_table() -> None:
    assert set(_BY_ROLE) == set(BUILT_IN_ROLES)


def test_a_role_of_a_project_gives_nothing_on_the_system() -> None:
    for role in BUILT_IN_ROLES:
        assert _ENGINE.on_registry(_user(project_role=role), _ALL_ON_SYSTEM) == frozenset()


def test_the_auditor_reads_audit_and_metadata_everywhere_and_changes_nothing() -> None:
    auditor = _user(system_role="auditor")

    in_project = _ENGINE.in_project(auditor, _ALL_IN_PROJECT, "team", is_public=False)
    on_system = _ENGINE.on_registry(auditor, _ALL_ON_SYSTEM)

    assert {"log:list", "member:list", "artifact:read"} <= in_project
    assert {"audit-log:list", "audit-log:export", "project:list", "user:list", "catalog:read"} <= on_system
    verbs = {name.rpartition(":")[2] for name in in_project | on_system}
    assert verbs == {"read", "list", "export"}


def test_team_leads_read_the_audit_log_of_their_project_and_developers_do_not() -> None:
    may = {
        role: "log:list"
        in _ENGINE.in_project(_user(project_role=role), _ALL_IN_PROJECT, "team", is_public=False)
        for role in ("developer", "team-lead", "guest")
    }

    assert may == {"developer": False, "team-lead": True, "guest": False}


def test_s10_a_team_lead_changes_neither_the_project_nor_its_members_or_robots() -> None:
    lead = _ENGINE.in_project(_user(project_role="team-lead"), _ALL_IN_PROJECT, "team", is_public=False)

    assert not lead & {
        "project:update",
        "metadata:update",
        "member:create",
        "member:update",
        "member:delete",
        "robot:create",
        "repository:create",
    }


def test_the_operations_admin_may_everything() -> None:
    operator = _user(system_role="operations-admin")

    assert _ENGINE.in_project(operator, _ALL_IN_PROJECT, "team", is_public=False) == _ALL_IN_PROJECT
    assert _ENGINE.on_registry(operator, _ALL_ON_SYSTEM) == _ALL_ON_SYSTEM


def test_everybody_pulls_and_reads_in_public_projects_and_sees_no_members() -> None:
    assert _ENGINE.in_project(_ANYBODY, _ALL_IN_PROJECT, "team", is_public=False) == frozenset()
    assert _ENGINE.in_project(_ANYBODY, _ALL_IN_PROJECT, "team", is_public=True) == {
        "project:read",
        "repository:read",
        "repository:list",
        "repository:pull",
        "artifact:read",
        "artifact:list",
        "tag:list",
        "accessory:list",
        "label:read",
        "label:list",
    }
    assert _ENGINE.on_registry(_ANYBODY, _ALL_ON_SYSTEM) == frozenset()


def test_a_permission_of_a_project_is_none_on_the_system_of_the_same_name() -> None:
    robot = Subject("Robot", "r", frozenset({"label:create"}))
    system_robot = Subject("Robot", "r", frozenset({"system:label:create"}))

    assert _ENGINE.in_project(robot, _ALL_IN_PROJECT, "team", is_public=False) == {"label:create"}
    assert _ENGINE.on_registry(robot, _ALL_ON_SYSTEM) == frozenset()
    assert _ENGINE.in_project(system_robot, _ALL_IN_PROJECT, "team", is_public=False) == frozenset()
    assert _ENGINE.on_registry(system_robot, _ALL_ON_SYSTEM) == {"label:create"}


@given(st.text(max_size=30).filter(lambda name: name not in BUILT_IN_ROLES))
def test_an_unknown_role_whatever_its_name_gives_nothing(role: str) -> None:
    subject = Subject("User", role, frozenset(), frozenset({role}), frozenset({role}))

    assert _ENGINE.in_project(subject, _ALL_IN_PROJECT, role, is_public=False) == frozenset()
    assert _ENGINE.on_registry(subject, _ALL_ON_SYSTEM) == frozenset()


@pytest.mark.parametrize(
    "broken",
    [
        # A forbid whose condition fails is passed over by Cedar, and the permit beside it would win.
        'forbid (principal, action, resource) when { resource.name like "team" && 9223372036854775807 + 1 > 0 };',
        "forbid (principal, action, resource is Entrepot::Project) when { 9223372036854775807 * 2 == 1 };",
    ],
)
def test_i6_a_policy_that_fails_denies(broken: str) -> None:
    sound = render_policies()
    broken = broken.replace(' resource.name like "team" &&', "")
    lead = _user(project_role="team-lead")

    assert PolicyEngine(sound).in_project(lead, ["repository:push"], "team", is_public=False) == {
        "repository:push"
    }
    assert (
        PolicyEngine(sound + broken).in_project(lead, ["repository:push"], "team", is_public=False) == set()
    )


def test_i6_a_question_that_cedar_does_not_understand_is_denied() -> None:
    operator = _user(system_role="operations-admin")

    assert _ENGINE.in_project(operator, ["repository:fly"], "team", is_public=False) == frozenset()
    assert (
        _ENGINE.in_repository(operator, ["member:list"], "team", "team/app", is_public=False) == frozenset()
    )


def test_the_policies_of_the_built_in_roles_fit_the_schema() -> None:
    """No start looks again."""
    PolicyEngine(render_policies())


@pytest.mark.parametrize(
    "text",
    [
        "permit (principal, action, resource",
        'permit (principal, action == Entrepot::Action::"repository:fly", resource);',
        "permit (principal, action, resource) when { principal.nonsense };",
    ],
)
def test_policies_that_do_not_fit_the_schema_are_refused(text: str) -> None:
    with pytest.raises(InvalidPoliciesError):
        PolicyEngine(text)


@pytest.mark.parametrize("kind", ["User", "Robot", "Anonymous"])
def test_i6_whoever_is_refused_without_asking_would_be_refused_by_cedar(kind: Asker) -> None:
    """Neither a role nor a permission, and nothing public: the policies in full permit nothing."""
    nobody = Subject(kind, "n")

    for engine in (_ASKING, _ENGINE):
        assert not engine.in_project(nobody, _ALL_IN_PROJECT, "p", is_public=False)
        assert not engine.in_repository(nobody, _ALL_IN_PROJECT, "p", "p/r", is_public=False)
        assert not engine.on_registry(nobody, _ALL_ON_SYSTEM)
        assert engine.in_project(nobody, _ALL_IN_PROJECT, "p", is_public=True)


@given(
    st.sampled_from(["", "own role", *BUILT_IN_ROLES]),
    st.sampled_from(["", "own role", *BUILT_IN_ROLES]),
    st.frozensets(st.sampled_from(_ACTIONS), max_size=2),
    st.frozensets(st.sampled_from(sorted(_ALL_IN_PROJECT)), max_size=2),
    st.frozensets(st.sampled_from(_DATA_PLANE), max_size=2),
    st.frozensets(st.sampled_from(sorted(_ALL_ON_SYSTEM)), max_size=2),
)
def test_i6_what_is_refused_without_asking_is_what_cedar_refuses(
    project_role: str,
    system_role: str,
    permissions: frozenset[str],
    in_project: frozenset[str],
    in_repository: frozenset[str],
    on_system: frozenset[str],
) -> None:
    who = _user(project_role=project_role, system_role=system_role, permissions=permissions)

    usual, asking = (
        (
            engine.in_project(who, in_project, "p", is_public=False),
            engine.in_repository(who, in_repository, "p", "p/r", is_public=False),
            engine.on_registry(who, on_system),
        )
        for engine in (_ENGINE, _ASKING)
    )

    assert usual == asking


@pytest.mark.parametrize(
    ("who", "asked"),
    [
        (_user(system_role="own role"), _ALL_IN_PROJECT),
        (_user(project_role="own role"), _ALL_IN_PROJECT),
        (_user(system_role="auditor"), frozenset({"repository:push"})),
        (_user(permissions=frozenset({"project:read"})), frozenset({"repository:push"})),
    ],
)
def test_cedar_is_not_asked_for_what_no_role_of_the_asker_permits_s19_f41(
    monkeypatch: pytest.MonkeyPatch, who: Subject, asked: frozenset[str]
) -> None:
    """A custom role on the system is about no project, and by the time of an answer one would learn which there are."""
    questions: list[object] = []

    def asked_of_cedar(*question: object) -> list[object]:
        questions.append(question)
        return []

    monkeypatch.setattr(cedarpy, "is_authorized_batch", asked_of_cedar)

    assert not _ENGINE.in_project(who, asked, "p", is_public=False)
    assert not _ENGINE.in_repository(who, asked, "p", "p/r", is_public=False)
    assert questions == []


@given(
    st.sampled_from(["", *_BY_ROLE]),
    st.sampled_from(["", *BUILT_IN_ROLES]),
    st.frozensets(st.sampled_from(sorted(PROJECT_PERMISSIONS)), max_size=3),
    st.booleans(),
    st.sampled_from(["p/r", "p/a/very/deep/one", "p", "q/r", "Entrepot::Repository"]),
)
def test_the_built_in_policies_tell_no_repositories_of_a_project_apart(
    project_role: str, system_role: str, permissions: frozenset[str], is_public: bool, name: str
) -> None:
    """So one decision is good for all of them."""
    who = _user(project_role=project_role, system_role=system_role, permissions=permissions)
    usual, other = (
        _ENGINE.in_repository(who, _DATA_PLANE, "p", one, is_public=is_public) for one in ("p/usual", name)
    )

    assert usual == other
    assert not _ENGINE.tells_repositories_apart


def test_free_policies_are_asked_about_whoever_holds_nothing() -> None:
    """They may permit what no role does."""
    policy = f'permit (principal, action == {NAMESPACE}::Action::"project:read", resource);'
    engine = PolicyEngine(policy)

    assert engine.in_project(_ANYBODY, _ALL_IN_PROJECT, "p", is_public=False) == {"project:read"}
