"""The facts of a decision come from one statement, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.standing_store import AskedProject, HeldRole, ProjectFacts, SubjectFacts
from tests.drivers.metadata.identity_rows import IdentityRows

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase


@pytest.fixture
def rows(database: RawDatabase) -> IdentityRows:
    """Return what adds rows."""
    return IdentityRows(database)


def _roles(facts: SubjectFacts | None) -> set[tuple[str, bool]]:
    assert facts is not None
    return {(role.name, role.on_system) for role in facts.roles}


async def test_roles_come_directly_by_groups_and_from_the_system_and_from_no_other_project(
    metadata: Metadata, rows: IdentityRows, counts: CountingObserver
) -> None:
    team, other = await rows.project("team"), await rows.project("other")
    ann = await rows.user("ann")
    await rows.give(ann, "developer", team)
    await rows.give(ann, "project-admin", other)
    await rows.give(await rows.group("leads", ann), "team-lead", team)
    await rows.give(await rows.group("audit", ann), "auditor")
    await rows.give(await rows.group("strangers"), "operations-admin")

    by_name = await metadata.standings.in_project("id-ann", "team")
    by_number = await metadata.standings.in_project("id-ann", team)
    on_system = await metadata.standings.on_system("id-ann")

    assert by_name == by_number
    assert by_name.project == ProjectFacts(team, "team", 0, is_public=False, repository_creation="operators")
    assert _roles(by_name.subject) == {("developer", False), ("team-lead", False), ("auditor", True)}
    assert _roles(on_system) == {("auditor", True)}
    assert counts.statements == {
        "standings.in_project_by_name": 1,
        "standings.in_project_by_number": 1,
        "standings.on_system": 1,
    }


async def test_a_project_is_found_for_nobody_and_nobody_in_a_missing_one(
    metadata: Metadata, rows: IdentityRows
) -> None:
    team = await rows.project("team", public=True, creation="developers")

    assert await metadata.standings.in_project("anonymous", "team") == AskedProject(
        ProjectFacts(team, "team", 0, is_public=True, repository_creation="developers"), None
    )
    for missing in ("nowhere", team + 1):
        assert await metadata.standings.in_project("anonymous", missing) == AskedProject(None, None)
    assert await metadata.standings.on_system("anonymous") is None


async def test_who_asks_is_read_alike_in_a_project_of_others_and_in_none_s19(
    metadata: Metadata, rows: IdentityRows, database: RawDatabase
) -> None:
    """So that it takes as long to be told of neither: a deleted project is none as well."""
    hidden, gone = await rows.project("hidden"), await rows.project("gone")
    await database.fetch(f"UPDATE projects SET deleted_at = 1 WHERE id = {gone}")
    ann = await rows.user("ann")
    await rows.custom_role("reader", "system", ["role:list"])
    await rows.give(ann, "reader")
    await rows.give(await rows.group("audit", ann), "auditor")
    await rows.robot("ci", [{"kind": "project", "namespace": "open", "access": ["repository:pull"]}])
    missing: tuple[str | int, ...] = ("nowhere", gone + 1, "gone", gone)

    for who in ("ann", "ci"):
        there = [await metadata.standings.in_project(f"id-{who}", name) for name in ("hidden", hidden)]
        assert there[0] == there[1]
        assert there[0].project is not None
        assert there[0].subject is not None
        for name in missing:
            found = await metadata.standings.in_project(f"id-{who}", name)
            assert found == AskedProject(None, there[0].subject), name


async def test_a_custom_role_comes_with_what_it_permits(metadata: Metadata, rows: IdentityRows) -> None:
    team = await rows.project("team")
    await rows.custom_role("puller", "project", ["repository:pull"])
    await rows.give(await rows.user("ann"), "puller", team)

    facts = await metadata.standings.in_project("id-ann", "team")

    assert facts.subject is not None
    assert facts.subject.roles == (
        HeldRole("puller", on_system=False, level="project", permissions=b'["repository:pull"]'),
    )


async def test_s14_the_disabled_and_the_expired_are_no_subjects_any_more(
    metadata: Metadata, rows: IdentityRows
) -> None:
    team = await rows.project("team")
    entry = [{"kind": "project", "namespace": "team", "access": ["repository:pull"]}]
    await rows.disable(await rows.user("ann"))
    await rows.robot("old", entry, project=team, expires_at=1)
    await rows.robot("young", entry, project=team, expires_at=4_000_000_000_000)
    await rows.robot("ageless", entry)

    standing = {name: await metadata.standings.on_system(f"id-{name}") for name in ("ann", "old")}
    young = await metadata.standings.in_project("id-young", "team")
    ageless = await metadata.standings.on_system("id-ageless")

    assert standing == {"ann": None, "old": None}
    assert young.subject is not None
    assert young.subject.robot_project_id == team
    assert ageless is not None
    assert (ageless.kind, ageless.robot_project_id) == ("robot", None)


async def test_s13_roles_of_a_disabled_group_are_gone(metadata: Metadata, rows: IdentityRows) -> None:
    group = await rows.group("leads", await rows.user("ann"))
    await rows.give(group, "auditor")

    before = await metadata.standings.on_system("id-ann")
    await rows.disable(group)

    assert _roles(before) == {("auditor", True)}
    assert _roles(await metadata.standings.on_system("id-ann")) == set()


async def test_whoever_must_choose_a_new_password_is_told_apart(
    metadata: Metadata, rows: IdentityRows
) -> None:
    await rows.user("new", must_change_password=True)
    await rows.user("old")

    facts = [await metadata.standings.on_system(f"id-{name}") for name in ("new", "old")]

    assert [found and found.must_change_password for found in facts] == [True, False]


async def test_the_roles_of_a_person_are_those_given_anywhere_by_groups_too_s9(
    metadata: Metadata, rows: IdentityRows, database: RawDatabase
) -> None:
    """Also of who is disabled; not those of a project that was deleted."""
    team, gone = await rows.project("team"), await rows.project("gone")
    ann, bob = await rows.user("ann"), await rows.user("bob")
    group = await rows.group("crew", ann)
    await rows.custom_role("keeper", "project", ["label:read"])
    for subject, role, project in (
        (ann, "auditor", None),
        (ann, "keeper", team),
        (ann, "guest", gone),
        (group, "operations-admin", None),
        (group, "developer", team),
        (bob, "guest", team),
    ):
        await rows.give(subject, role, project)
    await rows.disable(ann)
    await database.fetch(f"UPDATE projects SET deleted_at = 1 WHERE id = {gone}")

    found = {
        (role.name, role.project_id, role.level, role.permissions and bytes(role.permissions))
        for role in await metadata.standings.roles_of(ann)
    }

    assert found == {
        ("auditor", None, None, None),
        ("keeper", team, "project", b'["label:read"]'),
        ("operations-admin", None, None, None),
        ("developer", team, None, None),
    }
    of_group = [role.name for role in await metadata.standings.roles_of(group)]
    assert sorted(of_group) == ["developer", "operations-admin"]
    assert list(await metadata.standings.roles_of(99)) == []


async def test_the_roles_of_many_are_found_once_each_by_one_statement_s9(
    metadata: Metadata, rows: IdentityRows, counts: CountingObserver
) -> None:
    """Of people, of who is in a group, with what other groups give those, and of all who have a role."""
    team = await rows.project("team")
    ann, bob, eve = await rows.user("ann"), await rows.user("bob"), await rows.user("eve")
    club, crew = await rows.group("club", ann, bob), await rows.group("crew", bob)
    await rows.custom_role("tiny", "system", ["role:list"])
    for subject, role, project in (
        (ann, "auditor", None),
        (bob, "auditor", None),
        (crew, "developer", team),
        (club, "tiny", None),
        (eve, "guest", team),
    ):
        await rows.give(subject, role, project)
    counts.statements.clear()

    standings = metadata.standings
    found = [
        await standings.roles_of_all(asked) for asked in ({club}, {ann}, {eve, crew}, set[int](), {9999})
    ]
    held = [await standings.roles_of_holders(role) for role in ("tiny", "guest", "nobody")]

    assert [sorted(role.name for role in roles) for roles in found] == [
        ["auditor", "developer", "tiny"],
        ["auditor", "tiny"],
        ["auditor", "developer", "guest", "tiny"],
        [],
        [],
    ]
    assert {bytes(role.permissions) for role in found[0] if role.permissions} == {b'["role:list"]'}
    assert [sorted(role.name for role in roles) for roles in held] == [
        ["auditor", "developer", "tiny"],
        ["guest"],
        [],
    ]
    assert counts.statements == {"standings.roles_of_all": 5, "standings.roles_of_holders": 3}
