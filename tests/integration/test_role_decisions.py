"""Decisions over a real store: roles, robots, limits, revocation; each cell of the article's table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from entrepot.auth.cedar.engine import PolicyEngine
from entrepot.auth.cedar.policies import render_policies
from entrepot.auth.decisions import NO_STANDING
from entrepot.auth.principals import CredentialLimits
from entrepot.auth.role_decisions import RoleDecisions
from entrepot.metadata.errors import MetadataError
from entrepot.oci.names import RepositoryName
from tests.integration.identity import ANYBODY, Identity, open_identity, principal
from tests.unit.auth.identity_fakes import HandEpochs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path

    from entrepot.auth.cedar.questions import Subject
    from entrepot.auth.principals import Principal

_APP: Final = RepositoryName.parse("team/app")
_OTHER: Final = RepositoryName.parse("other/app")
_OPEN: Final = RepositoryName.parse("open/app")

# Member of the private project, asked about: that project, another private one, a public one. Letters are pull, push,
# delete, create, overwrite; written from the article's table and the issue, not from the code.
_MEMBERS: Final = {
    "guest": ("l....", ".....", "l...."),
    "limited-guest": ("l....", ".....", "l...."),
    "developer": ("lp..o", ".....", "l...."),
    "team-lead": ("lpd.o", ".....", "l...."),
    "project-admin": ("lpdco", ".....", "l...."),
    "auditor": (".....", ".....", "l...."),
}
_ON_SYSTEM: Final = {
    "guest": ("l....", "l....", "l...."),
    "limited-guest": ("l....", "l....", "l...."),
    "developer": ("lp..o", "lp..o", "lp..o"),
    "team-lead": ("lpd.o", "lpd.o", "lpd.o"),
    "project-admin": ("lpdco", "lpdco", "lpdco"),
    "auditor": (".....", ".....", "l...."),
    "operations-admin": ("lpdco", "lpdco", "lpdco"),
}
_LETTERS: Final = (("pull", "l"), ("push", "p"), ("delete", "d"), ("create", "c"), ("overwrite", "o"))


class _Noted(PolicyEngine):
    """Tells what it was asked: about whom, and how many permissions."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Subject, int, bool]] = []

    def in_project(
        self, subject: Subject, permissions: Collection[str], project: str, *, is_public: bool
    ) -> frozenset[str]:
        """See there."""
        self.asked.append((subject, len(permissions), is_public))
        return super().in_project(subject, permissions, project, is_public=is_public)

    def in_repository(
        self,
        subject: Subject,
        permissions: Collection[str],
        project: str,
        repository: str,
        *,
        is_public: bool,
    ) -> frozenset[str]:
        """See there."""
        self.asked.append((subject, len(permissions), is_public))
        return super().in_repository(subject, permissions, project, repository, is_public=is_public)


@pytest.fixture
async def identity(tmp_path: Path) -> AsyncIterator[Identity]:
    """Return a store with three projects."""
    async with open_identity(tmp_path) as opened:
        for name in ("team", "other"):
            await opened.rows.project(name)
        await opened.rows.project("open", public=True)
        yield opened


async def _cells(identity: Identity, who: Principal) -> tuple[str, ...]:
    found: list[str] = []
    for repository in (_APP, _OTHER, _OPEN):
        allowed = (await identity.decisions.on_repository(who, repository)).actions
        found.append("".join(letter if action in allowed else "." for action, letter in _LETTERS))
    return tuple(found)


async def _project(identity: Identity, name: str = "team") -> int:
    number: int = await identity.database.value(f"SELECT id FROM projects WHERE name = '{name}'")
    return number


async def test_s10_every_role_of_a_member_in_every_kind_of_project(identity: Identity) -> None:
    team = await _project(identity)
    found: dict[str, tuple[str, ...]] = {}
    for role in _MEMBERS:
        await identity.rows.give(await identity.rows.user(role), role, team)
        found[role] = await _cells(identity, principal(role))

    assert found == _MEMBERS


async def test_s10_every_role_on_the_system_in_every_kind_of_project(identity: Identity) -> None:
    found: dict[str, tuple[str, ...]] = {}
    for role in _ON_SYSTEM:
        await identity.rows.give(await identity.rows.user(role), role)
        found[role] = await _cells(identity, principal(role))

    assert found == _ON_SYSTEM


async def test_outsiders_and_nobody_only_pull_what_is_public(identity: Identity) -> None:
    await identity.rows.user("ann")

    assert await _cells(identity, principal("ann")) == (".....", ".....", "l....")
    assert await _cells(identity, ANYBODY) == (".....", ".....", "l....")


async def test_a_role_that_nobody_knows_any_more_gives_nothing(identity: Identity) -> None:
    await identity.rows.give(await identity.rows.user("ann"), "emperor", await _project(identity))

    assert await _cells(identity, principal("ann")) == (".....", ".....", "l....")


@pytest.mark.parametrize(
    ("setting", "creators"),
    [
        ("operators", {"project-admin"}),
        ("team-leads", {"project-admin", "team-lead"}),
        ("developers", {"project-admin", "team-lead", "developer"}),
        ("nonsense", {"project-admin"}),
    ],
)
async def test_s11_a_setting_says_who_creates_by_pushing(
    identity: Identity, setting: str, creators: set[str]
) -> None:
    project = await identity.rows.project("made", creation=setting)
    found: set[str] = set()
    for role in ("guest", "developer", "team-lead", "project-admin", "auditor"):
        await identity.rows.give(await identity.rows.user(role), role, project)
        made = RepositoryName.parse("made/app")
        if "create" in (await identity.decisions.on_repository(principal(role), made)).actions:
            found.add(role)

    assert found == creators


async def test_a_project_that_does_not_exist_has_nothing_for_anybody(identity: Identity) -> None:
    await identity.rows.give(await identity.rows.user("root"), "operations-admin")

    for who in (principal("root"), ANYBODY):
        nowhere = RepositoryName.parse("nowhere/app")
        assert await identity.decisions.on_repository(who, nowhere) == NO_STANDING
        assert await identity.decisions.on_project(who, "nowhere") is None


async def test_standing_in_a_project_by_name_and_by_number(identity: Identity) -> None:
    team = await _project(identity)
    await identity.rows.give(await identity.rows.user("ann"), "limited-guest", team)

    by_name = await identity.decisions.on_project(principal("ann"), "team")
    by_number = await identity.decisions.on_project(principal("ann"), team)

    assert by_name is not None
    assert by_name == by_number
    assert (by_name.project_id, by_name.project, by_name.epoch) == (team, "team", 0)
    assert by_name.roles == {"limited-guest"}
    assert by_name.permissions == {
        "project:read",
        "metadata:read",
        "metadata:list",
        "repository:read",
        "repository:list",
        "repository:pull",
        "artifact:read",
        "artifact:list",
        "tag:list",
        "accessory:list",
        "quota:read",
    }


async def test_a_custom_role_counts_on_its_level_and_never_as_a_built_in_one(identity: Identity) -> None:
    team = await _project(identity)
    ann = await identity.rows.user("ann")
    await identity.rows.custom_role("puller", "project", ["repository:pull", "user:list", "nonsense"])
    await identity.rows.custom_role("lister", "system", ["catalog:read", "repository:push"])
    await identity.rows.custom_role("guest", "project", ["repository:delete"])
    await identity.rows.give(ann, "puller", team)
    await identity.rows.give(ann, "puller")
    await identity.rows.give(ann, "lister")
    await identity.rows.give(await identity.rows.user("eve"), "lister", team)
    await identity.rows.give(await identity.rows.user("bob"), "guest", team)

    assert await _cells(identity, principal("ann")) == ("l....", ".....", "l....")
    assert await identity.decisions.on_registry(principal("ann")) == {"catalog:read"}
    assert await _cells(identity, principal("eve")) == (".....", ".....", "l....")
    assert await _cells(identity, principal("bob")) == ("l....", ".....", "l....")


async def test_s9_a_robot_does_what_is_listed_where_it_is_listed(identity: Identity) -> None:
    team = await _project(identity)
    everything = ["repository:pull", "repository:push", "tag:overwrite", "catalog:read", "robot:create"]
    await identity.rows.robot(
        "own",
        [
            {"kind": "project", "namespace": "team", "access": ["repository:pull", "repository:push"]},
            {"kind": "project", "namespace": "other", "access": everything},
            {"kind": "project", "namespace": "*", "access": everything},
            {"kind": "system", "namespace": "/", "access": ["catalog:read"]},
        ],
        project=team,
    )
    await identity.rows.robot(
        "system",
        [
            {"kind": "project", "namespace": "*", "access": ["repository:pull"]},
            {"kind": "project", "namespace": "other", "access": ["repository:delete", "nonsense"]},
            {"kind": "system", "namespace": "/", "access": ["catalog:read", "repository:push"]},
        ],
    )
    own, system = principal("own", "robot"), principal("system", "robot")

    # A robot of a project that was given more than its project has no more than its project.
    assert await _cells(identity, own) == ("lp...", ".....", "l....")
    assert await identity.decisions.on_registry(own) == set()
    assert await _cells(identity, system) == ("l....", "l.d..", "l....")
    assert await identity.decisions.on_registry(system) == {"catalog:read"}
    assert await identity.decisions.in_every_project(system) == {"repository:pull"}


@pytest.mark.parametrize("permissions", [{"a": 1}, [1], [{"kind": "project"}], "x"])
async def test_i6_permissions_that_can_not_be_read_permit_nothing(
    identity: Identity, permissions: object
) -> None:
    await identity.rows.robot("odd", permissions)
    await identity.rows.custom_role("odd", "project", permissions)
    await identity.rows.give(await identity.rows.user("ann"), "odd", await _project(identity))

    assert await _cells(identity, principal("odd", "robot")) == (".....", ".....", "l....")
    assert await _cells(identity, principal("ann")) == (".....", ".....", "l....")


@pytest.mark.parametrize(
    ("limits", "cells"),
    [
        (CredentialLimits("t"), ("lpdco", "lpdco", "lpdco")),
        (
            CredentialLimits("t", permissions=frozenset({"repository:pull"})),
            ("l....", "l....", "l...."),
        ),
        (CredentialLimits("t", projects=frozenset({"team"})), ("lpdco", ".....", ".....")),
        (
            CredentialLimits("t", frozenset({"repository:pull", "tag:overwrite"}), frozenset({"other"})),
            (".....", "l...o", "....."),
        ),
        (CredentialLimits("t", frozenset(), None), (".....", ".....", ".....")),
    ],
)
async def test_s15_a_credential_reaches_no_further_than_its_limits(
    identity: Identity, limits: CredentialLimits, cells: tuple[str, ...]
) -> None:
    await identity.rows.give(await identity.rows.user("root"), "operations-admin")

    # The unlimited answer is remembered first and must not be taken for the limited one.
    assert await _cells(identity, principal("root")) == ("lpdco", "lpdco", "lpdco")
    assert await _cells(identity, principal("root", limits=limits)) == cells


async def test_s15_limits_hold_for_the_setting_that_lets_pushers_create(identity: Identity) -> None:
    project = await identity.rows.project("made", creation="team-leads")
    await identity.rows.give(await identity.rows.user("lead"), "team-lead", project)
    limits = CredentialLimits("t", permissions=frozenset({"repository:pull", "repository:push"}))

    allowed = await identity.decisions.on_repository(
        principal("lead", limits=limits), RepositoryName.parse("made/app")
    )

    assert allowed.actions == {"pull", "push"}


async def test_s15_limits_to_projects_leave_nothing_on_the_system(identity: Identity) -> None:
    await identity.rows.give(await identity.rows.user("root"), "operations-admin")
    limits = CredentialLimits("t", projects=frozenset({"team"}))

    assert await identity.decisions.on_registry(principal("root", limits=limits)) == set()
    assert await identity.decisions.in_every_project(principal("root", limits=limits)) == set()


async def test_s17_whoever_must_choose_a_password_may_nothing_whoever_noticed_it(identity: Identity) -> None:
    await identity.rows.give(await identity.rows.user("new", must_change_password=True), "operations-admin")
    await identity.rows.give(await identity.rows.user("root"), "operations-admin")
    told = msgspec.structs.replace(principal("root"), must_change_password=True)
    await _cells(identity, principal("root"))

    for who in (principal("new"), told):
        assert await _cells(identity, who) == (".....", ".....", ".....")
        assert await identity.decisions.on_registry(who) == set()
        standing = await identity.decisions.on_project(who, "team")
        assert standing is not None
        assert standing.permissions == set()


async def test_s14_the_deleted_the_disabled_and_the_expired_may_not_even_pull_in_public(
    identity: Identity,
) -> None:
    await identity.rows.disable(await identity.rows.user("ann"))
    await identity.rows.robot("old", [], expires_at=1)

    for who in (principal("ann"), principal("old", "robot"), principal("never-was")):
        assert await _cells(identity, who) == (".....", ".....", ".....")


async def test_a_subject_counts_only_as_what_it_was_authenticated_as(identity: Identity) -> None:
    await identity.rows.give(await identity.rows.user("root"), "operations-admin")
    await identity.rows.give(await identity.rows.group("admins"), "operations-admin")

    for who in (principal("root", "robot"), principal("admins"), principal("root", "host")):
        assert await _cells(identity, who) == (".....", ".....", ".....")


async def test_one_statement_decides_and_a_remembered_decision_needs_none(identity: Identity) -> None:
    await identity.rows.give(await identity.rows.user("ann"), "developer", await _project(identity))
    identity.counts.reset()

    for _ in range(3):
        await identity.decisions.on_repository(principal("ann"), _APP)
    assert identity.counts.statements == {"standings.in_project_by_name": 1}

    identity.counts.reset()
    for _ in range(3):
        await identity.decisions.on_project(principal("ann"), "team")
    assert identity.counts.statements == {"standings.in_project_by_name": 1}


async def test_a_missing_project_is_decided_like_one_of_others_and_permits_nothing_s19(
    identity: Identity,
) -> None:
    """Not even who may do everything everywhere: what policies permit there counts for nothing."""
    engine = _Noted()
    decisions = RoleDecisions(identity.metadata.standings, engine, HandEpochs())
    await identity.rows.give(await identity.rows.user("root"), "operations-admin")
    await identity.rows.user("ann")
    nowhere = RepositoryName.parse("nowhere/app")

    for name in ("ann", "root"):
        engine.asked.clear()
        assert await decisions.on_repository(principal(name), nowhere) == NO_STANDING
        assert await decisions.on_project(principal(name), "nowhere") is None
        assert await decisions.on_project(principal(name), 990) is None
        missing = list(engine.asked)
        engine.asked.clear()
        await decisions.on_repository(principal(name), _OTHER)
        await decisions.on_project(principal(name), "other")
        assert missing == [*engine.asked, engine.asked[-1]], name


async def test_a_remembered_decision_tells_the_epoch_that_it_was_made_by_s14(identity: Identity) -> None:
    """So no token that is issued by it is taken for one that was decided on after a change made elsewhere."""
    await identity.rows.give(await identity.rows.user("ann"), "developer", await _project(identity))
    first = await identity.decisions.on_repository(principal("ann"), _APP)
    await identity.database.fetch("UPDATE projects SET epoch = epoch + 7 WHERE name = 'team'")

    for name in ("team/app", "team/lib"):
        again = await identity.decisions.on_repository(principal("ann"), RepositoryName.parse(name))
        assert again.epoch == first.epoch

    later = RoleDecisions(identity.metadata.standings, PolicyEngine(), HandEpochs())
    assert (await later.on_repository(principal("ann"), _APP)).epoch == first.epoch + 7


@pytest.mark.parametrize("policies", [None, render_policies()])
async def test_one_decision_is_good_for_all_of_a_project_unless_policies_are_free_f41(
    identity: Identity, policies: str | None
) -> None:
    """Whoever asks for a token of a hundred repositories must not have Cedar asked about each."""
    await identity.rows.give(await identity.rows.user("ann"), "developer", await _project(identity))
    decisions = RoleDecisions(identity.metadata.standings, PolicyEngine(policies), HandEpochs())
    identity.counts.reset()

    for name in ("team/app", "team/lib", "team/app", "open/app"):
        assert "pull" in (await decisions.on_repository(principal("ann"), RepositoryName.parse(name))).actions

    assert identity.counts.statements == {"standings.in_project_by_name": 2 if policies is None else 3}


async def test_s14_a_role_that_was_taken_is_gone_with_the_next_look_at_the_epochs(identity: Identity) -> None:
    ann = await identity.rows.user("ann")
    await identity.rows.give(ann, "developer", await _project(identity))
    assert await _cells(identity, principal("ann")) == ("lp..o", ".....", "l....")

    await identity.database.fetch("DELETE FROM role_assignments")
    await identity.metadata.write(lambda tx: tx.epochs.move_subjects([ann]))
    await identity.epochs.refresh()

    assert await _cells(identity, principal("ann")) == (".....", ".....", "l....")
    assert identity.epochs.is_current("id-ann", 0, {}) is False


async def test_a_role_that_was_given_counts_at_once(identity: Identity) -> None:
    ann = await identity.rows.user("ann")
    assert await _cells(identity, principal("ann")) == (".....", ".....", "l....")

    await identity.rows.give(ann, "developer", await _project(identity))

    assert await _cells(identity, principal("ann")) == ("lp..o", ".....", "l....")


async def test_i6_without_the_database_nothing_is_decided(identity: Identity) -> None:
    await identity.rows.give(await identity.rows.user("root"), "operations-admin")
    await identity.database.fetch("ALTER TABLE projects RENAME TO lost")

    with pytest.raises(MetadataError):
        await identity.decisions.on_repository(principal("root"), _APP)
    with pytest.raises(MetadataError):
        await identity.decisions.on_project(principal("root"), "team")


async def test_i6_what_is_remembered_is_worth_nothing_once_it_is_not_known_what_moved(
    identity: Identity,
) -> None:
    await identity.rows.give(await identity.rows.user("root"), "operations-admin")
    epochs = HandEpochs()
    decisions = RoleDecisions(identity.metadata.standings, PolicyEngine(), epochs)
    await decisions.on_repository(principal("root"), _APP)
    await decisions.on_project(principal("root"), "team")

    epochs.fresh = False

    with pytest.raises(MetadataError):
        await decisions.on_repository(principal("root"), _APP)
    with pytest.raises(MetadataError):
        await decisions.on_project(principal("root"), "team")
