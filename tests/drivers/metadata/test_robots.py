"""The service of robots on both engines: who can make which, what a change costs, and what is recorded."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.permissions import SYSTEM_PERMISSIONS
from entrepot.auth.principals import CredentialLimits, Principal
from entrepot.auth.project_actions import DeleteRobot, ListRobot, ReadRobot, UpdateRobot
from entrepot.auth.robots.errors import (
    InvalidRobotError,
    RobotChangedError,
    RobotNameTakenError,
    RobotUnknownError,
)
from entrepot.auth.robots.permissions import AskedPermissions
from entrepot.auth.robots.records import RobotChanges, RobotLimits
from entrepot.auth.robots.robots import Robots
from entrepot.auth.system_actions import (
    DeleteSystemRobot,
    ListSystemRobot,
    ReadSystemRobot,
    UpdateSystemRobot,
)
from entrepot.metadata.refresh_token_store import NewRefreshToken
from tests.drivers.metadata.machine_accounts import (
    ALICE,
    BOB,
    OTHER,
    PULL,
    Accounts,
    asked_robot,
    audit_of,
    on_sqlite,
    project_grant,
    system_grant,
)

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase

_PUSH = (AskedPermissions("project", "team", (("repository", "pull"), ("repository", "push"))),)
_CATALOG = (AskedPermissions("system", "/", (("catalog", "read"),)),)
_EVERYWHERE = (AskedPermissions("project", "*", (("repository", "pull"),)),)
_HOST = Principal("host:root", "", forwarded=False, name="root", kind="host")
_DAY = 86_400_000


async def test_a_robot_of_a_project_is_made_with_a_secret_that_is_shown_once_s9(
    accounts: Accounts, database: RawDatabase
) -> None:
    issued = await accounts.robots.create(project_grant(), asked_robot(description="builds"))

    robot = issued.robot
    assert (robot.name, robot.short_name, robot.project_id) == ("robot$team+ci", "ci", 1)
    assert (robot.creator, robot.creator_id, robot.disabled) == ("alice-id", 1, False)
    assert robot.duration_days == 30
    assert (robot.expires_at or 0) - robot.created_at == pytest.approx(30 * _DAY, abs=1000)
    stored = await database.value("SELECT secret_hash FROM robots")
    assert stored == hashlib.sha256(issued.secret.encode()).hexdigest()
    assert await accounts.robots.get(project_grant(ReadRobot), robot.id) == robot
    assert await accounts.robots.home(robot.id) == 1
    assert await database.fetch("SELECT kind, name FROM subjects WHERE kind = 'robot'") == [
        ("robot", "robot$team+ci")
    ]


async def test_a_robot_of_the_system_is_made_for_the_system(accounts: Accounts) -> None:
    issued = await accounts.robots.create(
        system_grant(), asked_robot(permissions=(*_CATALOG, *PULL), duration_days=-1)
    )

    assert (issued.robot.name, issued.robot.project_id, issued.robot.expires_at) == ("robot$ci", None, None)
    assert await accounts.robots.home(issued.robot.id) is None


@on_sqlite
@pytest.mark.parametrize(
    ("principal", "permissions"),
    [
        (BOB, _PUSH),
        (ALICE, (AskedPermissions("project", "team", (("repository", "delete"),)),)),
        (
            ALICE.__class__(
                "alice-id",
                "",
                forwarded=False,
                name="alice",
                kind="user",
                limits=CredentialLimits("t", frozenset({"repository:pull"})),
            ),
            _PUSH,
        ),
    ],
)
async def test_nobody_gives_a_robot_of_a_project_what_they_lack_s9(
    accounts: Accounts, database: RawDatabase, principal: Principal, permissions: tuple[AskedPermissions, ...]
) -> None:
    """Also not what the token they came with does not leave them (S15)."""
    with pytest.raises(AccessDeniedError):
        await accounts.robots.create(project_grant(principal=principal), asked_robot(permissions=permissions))

    assert await database.count("robots") == 0


@on_sqlite
@pytest.mark.parametrize(
    "permissions",
    [
        _EVERYWHERE,
        (AskedPermissions("system", "/", (("user", "create"),)),),
        (*PULL, AskedPermissions("project", "other", (("repository", "pull"),))),
        (AskedPermissions("project", "missing", (("repository", "pull"),)),),
    ],
)
async def test_nobody_gives_a_robot_of_the_system_what_they_lack_s9(
    accounts: Accounts, permissions: tuple[AskedPermissions, ...]
) -> None:
    with pytest.raises(AccessDeniedError):
        await accounts.robots.create(system_grant(), asked_robot(permissions=permissions))


@on_sqlite
async def test_a_missing_project_is_refused_with_the_words_for_a_hidden_one_s19(accounts: Accounts) -> None:
    texts: list[str] = []
    for project in ("other", "nosuch"):
        with pytest.raises(AccessDeniedError) as caught:
            await accounts.robots.create(
                system_grant(),
                asked_robot(permissions=(AskedPermissions("project", project, (("repository", "pull"),)),)),
            )
        texts.append(str(caught.value).replace(project, "X"))

    assert texts[0] == texts[1]


@on_sqlite
async def test_all_projects_are_given_by_who_holds_it_in_all_of_them_only_s9(accounts: Accounts) -> None:
    """Neither one's own projects nor every right on the system are enough."""
    accounts.decisions.table["alice-id", "/"] = set(SYSTEM_PERMISSIONS)
    accounts.decisions.table["alice-id", "*"] = {"repository:read"}
    with pytest.raises(AccessDeniedError):
        await accounts.robots.create(system_grant(), asked_robot(permissions=_EVERYWHERE))

    accounts.decisions.table["alice-id", "*"] = {"repository:read", "repository:pull"}
    assert (await accounts.robots.create(system_grant(), asked_robot(permissions=_EVERYWHERE))).robot.id


@on_sqlite
async def test_the_operator_of_the_host_gives_anything(accounts: Accounts) -> None:
    issued = await accounts.robots.create(system_grant(principal=_HOST), asked_robot(permissions=_EVERYWHERE))

    assert (issued.robot.creator, issued.robot.creator_id) == ("host:root", None)


@on_sqlite
async def test_a_robot_can_not_make_extend_or_remove_robots_s9(accounts: Accounts) -> None:
    """Even when something above granted it."""
    made = (await accounts.robots.create(project_grant(), asked_robot())).robot
    robot = Principal(made.public_id, "", forwarded=False, name=made.name, kind="robot")
    accounts.decisions.table[made.public_id, "team"] = {"repository:pull", "repository:push"}
    grant = project_grant(UpdateRobot, robot)

    with pytest.raises(AccessDeniedError):
        await accounts.robots.create(project_grant(principal=robot), asked_robot("second"))
    with pytest.raises(AccessDeniedError):
        await accounts.robots.update(grant, made.id, RobotChanges(permissions=_PUSH))
    with pytest.raises(AccessDeniedError):
        await accounts.robots.replace_secret(grant, made.id)
    with pytest.raises(AccessDeniedError):
        await accounts.robots.delete(project_grant(DeleteRobot, robot), made.id)


async def test_a_name_is_given_once_and_is_free_again_after_a_delete(
    accounts: Accounts, database: RawDatabase
) -> None:
    first = (await accounts.robots.create(project_grant(), asked_robot())).robot
    with pytest.raises(RobotNameTakenError):
        await accounts.robots.create(project_grant(), asked_robot())
    await accounts.robots.delete(project_grant(DeleteRobot), first.id)

    second = (await accounts.robots.create(project_grant(), asked_robot())).robot

    assert second.public_id != first.public_id
    assert await database.fetch(
        f"SELECT name, epoch FROM subjects WHERE id = {first.id} AND epoch_changed_at IS NOT NULL"
    ) == [(f"robot$team+ci#{first.public_id}", 1)]


async def test_two_who_take_one_name_at_once_make_one_robot(
    accounts: Accounts, database: RawDatabase
) -> None:
    outcomes = await asyncio.gather(
        *(accounts.robots.create(project_grant(), asked_robot()) for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(outcome, RobotNameTakenError) for outcome in outcomes) == 4
    assert await database.count("robots") == 1
    assert [record["action"] for record in await audit_of(database)] == ["robot.create"]


@on_sqlite
@pytest.mark.parametrize("grant_of", ["other project", "system"])
async def test_a_robot_of_another_place_is_not_found_s7(
    accounts: Accounts, database: RawDatabase, grant_of: str
) -> None:
    robot_id = (await accounts.robots.create(project_grant(), asked_robot())).robot.id
    system = grant_of == "system"
    read: Any = system_grant(ReadSystemRobot) if system else project_grant(ReadRobot, project_id=OTHER)
    update: Any = system_grant(UpdateSystemRobot) if system else project_grant(UpdateRobot, project_id=OTHER)
    delete: Any = system_grant(DeleteSystemRobot) if system else project_grant(DeleteRobot, project_id=OTHER)

    with pytest.raises(RobotUnknownError):
        await accounts.robots.get(read, robot_id)
    with pytest.raises(RobotUnknownError):
        await accounts.robots.update(update, robot_id, RobotChanges(disabled=True))
    with pytest.raises(RobotUnknownError):
        await accounts.robots.replace_secret(update, robot_id)
    with pytest.raises(RobotUnknownError):
        await accounts.robots.delete(delete, robot_id)

    assert await database.fetch("SELECT disabled_at, epoch FROM subjects WHERE kind = 'robot'") == [(None, 0)]
    assert [record["action"] for record in await audit_of(database)] == ["robot.create"]


@on_sqlite
async def test_a_robot_of_the_system_is_not_found_in_a_project_s7(accounts: Accounts) -> None:
    made = (await accounts.robots.create(system_grant(), asked_robot())).robot

    with pytest.raises(RobotUnknownError):
        await accounts.robots.get(project_grant(ReadRobot), made.id)
    with pytest.raises(RobotUnknownError):
        await accounts.robots.home(1)  # a person


async def test_lists_are_of_one_place_in_pages_and_names_are_taken_literally_s25(accounts: Accounts) -> None:
    for name in ("a1", "b_1", "bx1", "c1"):
        await accounts.robots.create(project_grant(), asked_robot(name))
    await accounts.robots.create(system_grant(), asked_robot("s1"))
    grant = project_grant(ListRobot)

    page = await accounts.robots.list_page(grant, limit=2, offset=1)
    assert ([robot.short_name for robot in page.robots], page.total) == (["b_1", "bx1"], 4)
    for name, name_part, expected in (
        ("a1", "", ["a1"]),
        ("a", "", []),
        ("", "b_", ["b_1"]),
        ("", "%", []),
        ("", "1", ["a1", "b_1", "bx1", "c1"]),
        ("", "!", []),
        ("", "' OR 1=1 --", []),
    ):
        found = await accounts.robots.list_page(grant, limit=100, name=name, name_part=name_part)
        assert ([robot.short_name for robot in found.robots], found.total) == (expected, len(expected))
    everywhere = await accounts.robots.list_page(system_grant(ListSystemRobot), limit=100, name_part="1")
    assert [robot.name for robot in everywhere.robots] == ["robot$s1"]
    assert (await accounts.robots.list_page(grant, limit=10**9, offset=-5)).total == 4


async def test_a_change_that_gives_something_moves_the_epoch_and_the_responsibility_s14(
    accounts: Accounts, database: RawDatabase
) -> None:
    made = (await accounts.robots.create(project_grant(), asked_robot())).robot
    grant = project_grant(UpdateRobot, BOB)

    async def epoch() -> int:
        found: int = await database.value(f"SELECT epoch FROM subjects WHERE id = {made.id}")
        return found

    described = await accounts.robots.update(grant, made.id, RobotChanges(description="nightly"))
    assert (described.description, described.creator, await epoch()) == ("nightly", "alice-id", 0)
    stopped = await accounts.robots.update(grant, made.id, RobotChanges(disabled=True))
    assert (stopped.disabled, stopped.creator, await epoch()) == (True, "alice-id", 1)
    bound = await accounts.robots.update(grant, made.id, RobotChanges(allowed_addresses=["10.0.0.1"]))
    assert (bound.allowed_addresses, bound.creator, await epoch()) == (("10.0.0.1/32",), "bob-id", 2)
    started = await accounts.robots.update(grant, made.id, RobotChanges(disabled=False, duration_days=90))
    assert (started.disabled, started.duration_days) == (False, 90)
    assert (started.expires_at or 0) - started.created_at == 90 * _DAY
    assert await epoch() == 3
    moved_at = await database.value(f"SELECT epoch_changed_at FROM subjects WHERE id = {made.id}")
    assert moved_at >= made.created_at


async def test_logins_with_a_secret_that_stays_go_on_unless_the_robot_is_stopped_s14(
    accounts: Accounts, database: RawDatabase
) -> None:
    """To give a robot more time must not end what it does every night."""
    made = (await accounts.robots.create(project_grant(), asked_robot())).robot
    grant = project_grant(UpdateRobot, BOB)
    login = NewRefreshToken("aa", made.public_id, "", "entrepot", "docker", 0)
    await accounts.metadata.write(lambda tx: tx.refresh_tokens.add(login, 10))

    async def is_good() -> bool:
        row = await accounts.metadata.refresh_tokens.find("aa")
        return row is not None and row.subject_epoch == row.current_epoch

    for changes in (RobotChanges(duration_days=90), RobotChanges(allowed_addresses=["10.0.0.1"])):
        await accounts.robots.update(grant, made.id, changes)
        assert await is_good()
    await accounts.robots.update(grant, made.id, RobotChanges(disabled=True, duration_days=30))
    await accounts.robots.update(grant, made.id, RobotChanges(disabled=False))
    assert not await is_good()


async def test_a_new_secret_ends_the_logins_with_the_former_one_s14(accounts: Accounts) -> None:
    made = (await accounts.robots.create(project_grant(), asked_robot())).robot
    login = NewRefreshToken("aa", made.public_id, "", "entrepot", "docker", 0)
    await accounts.metadata.write(lambda tx: tx.refresh_tokens.add(login, 10))

    await accounts.robots.replace_secret(project_grant(UpdateRobot), made.id)

    row = await accounts.metadata.refresh_tokens.find("aa")
    assert row is None or row.subject_epoch != row.current_epoch


@on_sqlite
@pytest.mark.parametrize(
    "changes",
    [
        RobotChanges(permissions=_PUSH),
        RobotChanges(permissions=(AskedPermissions("project", "team", (("log", "list"),)),)),
        RobotChanges(disabled=False),
        RobotChanges(duration_days=-1),
        RobotChanges(days_from_now=30),
        RobotChanges(allowed_addresses=[]),
    ],
)
async def test_nobody_extends_a_robot_that_may_more_than_they_s9(
    accounts: Accounts, database: RawDatabase, changes: RobotChanges
) -> None:
    """Bob may update robots of the project but not push to it."""
    asked = asked_robot(permissions=_PUSH, disabled=True, allowed_addresses=["10.0.0.0/8"])
    made = (await accounts.robots.create(project_grant(), asked)).robot
    grant = project_grant(UpdateRobot, BOB)

    with pytest.raises(AccessDeniedError):
        await accounts.robots.update(grant, made.id, changes)
    with pytest.raises(AccessDeniedError):
        await accounts.robots.replace_secret(grant, made.id)

    assert await accounts.robots.get(project_grant(ReadRobot), made.id) == made
    assert len(await audit_of(database)) == 1


@on_sqlite
async def test_who_was_demoted_does_not_start_their_own_robot_again_s9(accounts: Accounts) -> None:
    """Nor lets it live longer; stopping it stays possible."""
    made = (
        await accounts.robots.create(project_grant(), asked_robot(permissions=_PUSH, disabled=True))
    ).robot
    accounts.decisions.table["alice-id", "team"] = {"repository:pull"}
    grant = project_grant(UpdateRobot)

    with pytest.raises(AccessDeniedError):
        await accounts.robots.update(grant, made.id, RobotChanges(disabled=False))
    with pytest.raises(AccessDeniedError):
        await accounts.robots.update(grant, made.id, RobotChanges(duration_days=-1))
    assert (await accounts.robots.update(grant, made.id, RobotChanges(disabled=True))).disabled is True


@on_sqlite
async def test_whoever_takes_a_robot_over_answers_for_it_s9(accounts: Accounts) -> None:
    """By a new secret, or by giving the same permissions anew."""
    by_secret = (await accounts.robots.create(project_grant(), asked_robot("a"))).robot
    by_permissions = (await accounts.robots.create(project_grant(), asked_robot("b"))).robot
    grant = project_grant(UpdateRobot, BOB)

    assert (await accounts.robots.replace_secret(grant, by_secret.id)).robot.creator == "bob-id"
    assert (
        await accounts.robots.update(grant, by_permissions.id, RobotChanges(permissions=PULL))
    ).creator == "bob-id"


@on_sqlite
async def test_a_judgement_is_void_when_the_robot_changed_meanwhile_s9(
    accounts: Accounts, database: RawDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob is about to get a secret of a robot that may pull, when it is given more."""
    made = (await accounts.robots.create(project_grant(), asked_robot())).robot
    decide = accounts.decisions.on_project

    async def decide_and_change(principal: Principal, project: str | int) -> Any:
        monkeypatch.undo()
        standing = await decide(principal, project)
        await accounts.robots.update(project_grant(UpdateRobot), made.id, RobotChanges(permissions=_PUSH))
        return standing

    for act in (
        lambda: accounts.robots.replace_secret(project_grant(UpdateRobot, BOB), made.id),
        lambda: accounts.robots.update(
            project_grant(UpdateRobot, BOB), made.id, RobotChanges(duration_days=60)
        ),
    ):
        await accounts.robots.update(project_grant(UpdateRobot), made.id, RobotChanges(permissions=PULL))
        before = await database.fetch("SELECT secret_hash, duration_days FROM robots")
        monkeypatch.setattr(accounts.decisions, "on_project", decide_and_change)
        with pytest.raises(RobotChangedError):
            await act()
        assert await database.fetch("SELECT secret_hash, duration_days FROM robots") == before


@on_sqlite
async def test_bad_requests_make_nothing(accounts: Accounts, database: RawDatabase) -> None:
    mistakes: tuple[dict[str, Any], ...] = (
        {"name": "CI"},
        {"permissions": ()},
        {"duration_days": 0},
        {"description": "d" * 1025},
        {"allowed_addresses": ["here"]},
        {"secret": "weak"},
        {"permissions": (AskedPermissions("project", "other", (("repository", "pull"),)),)},
    )
    for wrong in mistakes:
        with pytest.raises(InvalidRobotError):
            await accounts.robots.create(project_grant(), asked_robot(**wrong))

    limited = Robots(
        accounts.metadata, accounts.decisions, accounts.hasher, accounts.memory, RobotLimits(most_days=90)
    )
    with pytest.raises(InvalidRobotError):
        await limited.create(project_grant(), asked_robot(duration_days=-1))
    assert (await database.count("robots"), len(await audit_of(database))) == (0, 0)


async def test_each_change_is_recorded_with_before_and_after_and_without_secrets_i11_s27(
    accounts: Accounts, database: RawDatabase
) -> None:
    canary = "Canary-Chosen-Secret-4711"
    issued = await accounts.robots.create(project_grant(), asked_robot(secret=canary))
    robot_id = issued.robot.id
    await accounts.robots.update(project_grant(UpdateRobot), robot_id, RobotChanges(permissions=_PUSH))
    rotated = await accounts.robots.replace_secret(project_grant(UpdateRobot), robot_id)
    await accounts.robots.delete(project_grant(DeleteRobot), robot_id)

    records = await audit_of(database)
    assert [
        (record["action"], record["user"], record["object"], record["project"]) for record in records
    ] == [
        ("robot.create", "alice", "robot$team+ci", "team"),
        ("robot.update", "alice", "robot$team+ci", "team"),
        ("robot.rotate", "alice", "robot$team+ci", "team"),
        ("robot.delete", "alice", "robot$team+ci", "team"),
    ]
    change = records[1]["body"]["change"]
    assert change["before"]["permissions"][0]["access"] == ["repository:pull"]
    assert change["after"]["permissions"][0]["access"] == ["repository:pull", "repository:push"]
    everything = repr([issued, rotated, records, await database.fetch("SELECT * FROM robots")])
    assert canary not in everything
    assert rotated.secret not in everything
    assert hashlib.sha256(rotated.secret.encode()).hexdigest() not in everything


async def test_a_unit_that_is_repeated_changes_nothing_more(
    accounts: Accounts, database: RawDatabase
) -> None:
    """As after a lost COMMIT reply: each unit is run again after it was committed."""
    write = accounts.metadata.write

    class _Twice:
        """A store that runs each unit twice."""

        def __getattr__(self, name: str) -> Any:
            return getattr(accounts.metadata, name)

        async def write(self, unit: Any) -> Any:
            await write(unit)
            return await write(unit)

    twice: Any = _Twice()
    robots = Robots(twice, accounts.decisions, accounts.hasher, accounts.memory, RobotLimits())
    issued = await robots.create(project_grant(), asked_robot())
    changed = await robots.update(
        project_grant(UpdateRobot), issued.robot.id, RobotChanges(permissions=_PUSH, disabled=True)
    )
    await robots.replace_secret(project_grant(UpdateRobot), issued.robot.id)
    await robots.delete(project_grant(DeleteRobot), issued.robot.id)

    assert changed.disabled is True
    assert await database.count("robots") == 0
    records = await audit_of(database)
    assert [record["action"].removeprefix("robot.") for record in records] == [
        "create",
        "update",
        "rotate",
        "delete",
    ]
    assert records[1]["body"]["change"]["before"]["disabled"] is False
