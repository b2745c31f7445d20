"""The checks of ``entrepot doctor`` on the master key and the first password."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from entrepot.metadata.diagnosis import StoppedRobot
from entrepot.metadata.role_store import NewRole, StoredRole
from entrepot.metadata.user_store import PersonIdentity
from entrepot.ops.checks.accounts import (
    check_master_key_file,
    examine_accounts,
    judge_first_password,
    judge_master_key,
    judge_people,
    judge_read_only,
    judge_robots,
    judge_roles,
)
from entrepot.settings import DataSettings, Secret, Settings
from entrepot.settings.identity import SecretsSettings
from tests.asgi.services import in_process_registry, scratch_settings


def _settings(directory: Path) -> Settings:
    return Settings(data=DataSettings(directory=directory))


@pytest.mark.parametrize(
    ("file_mode", "directory_mode", "status"),
    [(0o600, 0o700, "ok"), (0o400, 0o700, "ok"), (0o640, 0o700, "fail"), (0o600, 0o750, "fail")],
)
def test_s27_a_master_key_that_others_may_read_fails(
    tmp_path: Path, file_mode: int, directory_mode: int, status: str
) -> None:
    file = tmp_path / "secrets" / "master.key"
    file.parent.mkdir()
    file.write_text("A" * 43 + "=\n")
    file.chmod(file_mode)
    file.parent.chmod(directory_mode)

    assert check_master_key_file(_settings(tmp_path)).status == status


def test_a_master_key_that_is_not_there_yet_or_in_the_settings_passes(tmp_path: Path) -> None:
    set_key = Settings(
        data=DataSettings(directory=tmp_path), secrets=SecretsSettings(master_key=Secret("canary"))
    )

    findings = [check_master_key_file(_settings(tmp_path)), check_master_key_file(set_key)]

    assert [finding.status for finding in findings] == ["ok", "ok"]
    assert "canary" not in repr(findings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sealed_with", "present", "status", "said"),
    [
        ("", "", "ok", "can open"),
        ("a", "ab", "ok", "can open"),
        ("a", "b", "fail", "the master key a; this node has b"),
        ("a", "", "fail", "the master key a; this node has none"),
    ],
)
def test_f46_a_node_without_the_master_key_of_the_database_fails(
    sealed_with: str, present: str, status: str, said: str
) -> None:
    """Keys are named by one letter here."""
    finding = judge_master_key(frozenset(sealed_with), frozenset(present))

    assert (finding.status, said in finding.message) == (status, True)


@pytest.mark.parametrize(
    ("present", "must_change", "status", "said"),
    [
        (False, False, "ok", "no first password"),
        (True, True, "warn", "was not changed yet; it is in /data/secrets/admin-password"),
        (False, True, "warn", "another node has the file"),
        (True, False, "warn", "opens nothing any more"),
    ],
)
def test_s17_a_first_password_that_lies_about_is_warned_of(
    present: bool, must_change: bool, status: str, said: str
) -> None:
    finding = judge_first_password(
        Path("/data/secrets/admin-password"), present=present, must_change=must_change
    )

    assert (finding.status, said in finding.message) == (status, True)


async def test_a_database_without_keys_and_people_passes(tmp_path: Path) -> None:
    """As it is at a registry that was never started with accounts; before the first start nothing is said."""
    settings = scratch_settings(tmp_path)
    before = list(examine_accounts(settings))
    async with in_process_registry(settings):
        pass

    found = await asyncio.to_thread(lambda: list(examine_accounts(settings)))

    assert before == []
    assert [(finding.check, finding.status) for finding in found] == [
        ("master-key", "ok"),
        ("first-password", "ok"),
        ("people", "ok"),
        ("roles", "ok"),
        ("robots", "ok"),
        ("read-only", "ok"),
    ]


@pytest.mark.parametrize(
    ("in_settings", "in_configuration", "status", "said"),
    [
        (False, False, "ok", "pushes are taken"),
        (True, False, "warn", "on this node: registry.read_only is true"),
        (False, True, "warn", "on any node: the configuration read_only of the database is true"),
        (True, True, "warn", "on any node: the configuration read_only of the database is true"),
    ],
)
def test_what_forbids_pushes_is_told_wherever_it_was_set(
    in_settings: bool, in_configuration: bool, status: str, said: str
) -> None:
    finding = judge_read_only(in_settings=in_settings, in_configuration=in_configuration)

    assert (finding.status, said in finding.message) == (status, True)


async def test_read_only_of_the_database_is_found_there(tmp_path: Path) -> None:
    settings = scratch_settings(tmp_path)
    async with in_process_registry(settings) as registry:
        await registry.stores.metadata.write(
            lambda tx: tx.configurations.put({"read_only": "true"}, "host:root")
        )

    found = await asyncio.to_thread(lambda: list(examine_accounts(settings)))

    assert [finding.status for finding in found if finding.check == "read-only"] == ["warn"]
    assert not (tmp_path / "secrets").exists()


def test_people_who_can_be_taken_for_each_other_are_warned_of_by_number() -> None:
    """Neither names nor addresses: findings go into support bundles."""
    people = [
        PersonIdentity(1, "admin", ""),
        PersonIdentity(2, "ann", "a@x.org"),
        PersonIdentity(3, "Ann", "b@x.org"),
        PersonIdentity(4, "eve", "B@x.org"),
        PersonIdentity(5, "kim", ""),
    ]

    finding, sound = judge_people(people), judge_people(people[:2])

    assert (finding.status, sound.status) == ("warn", "ok")
    assert finding.message == (
        "accounts from before this was refused have names that differ by case only: users 2 and 3; "
        "and one e-mail address: users 3 and 4"
    )
    assert "GET /api/v2.0/users/<number>" in finding.remedy


def test_of_many_people_alike_the_first_are_named() -> None:
    people = [PersonIdentity(number, f"a{number // 2}", "") for number in range(60)]

    message = judge_people(people).message

    assert "users 0 and 1, 2 and 3" in message
    assert message.endswith("38 and 39, and 10 times more")


def test_robots_that_stopped_with_their_sponsors_are_warned_of_without_the_names_of_these_s9() -> None:
    finding = judge_robots([StoppedRobot("robot$team+ci", "ann"), StoppedRobot("robot$ci", None)])
    many = judge_robots([StoppedRobot(f"robot${number}", None) for number in range(21)])

    assert (finding.status, judge_robots([]).status) == ("warn", "ok")
    assert finding.message.endswith("is disabled or gone: robot$team+ci (disabled), robot$ci (gone)")
    assert "entrepot robot rotate NAME --project PROJECT" in finding.remedy
    assert many.message.endswith("robot$19 (gone), and more")


def test_custom_roles_that_clients_take_for_others_are_warned_of_by_number() -> None:
    """They were made before that was refused; on the system roles are given by their names alone."""
    names = ("maintainer", "1", "maintainers", "guest2")
    roles = [StoredRole(number, name, "project", "", b"[]", 1, 1) for number, name in enumerate(names)]
    on_system = StoredRole(9, "maintainer", "system", "", b"[]", 1, 1)

    finding, sound = judge_roles([*roles, on_system]), judge_roles([*roles[2:], on_system])
    many = judge_roles([StoredRole(number, f"{number}", "project", "", b"[]", 1, 1) for number in range(21)])

    assert (finding.status, sound.status) == ("warn", "ok")
    assert finding.message.endswith("for other roles: maintainer (number 1000), 1 (number 1001)")
    assert "entrepot role delete NAME" in finding.remedy
    assert many.message.endswith("19 (number 1019), and more")


async def test_a_role_of_a_former_program_is_found_in_the_database(tmp_path: Path) -> None:
    settings = scratch_settings(tmp_path)
    async with in_process_registry(settings) as registry:
        await registry.stores.metadata.write(
            lambda tx: tx.roles.add(NewRole("maintainer", "project", "", b'["repository:pull"]'))
        )

    found = await asyncio.to_thread(lambda: list(examine_accounts(settings)))

    assert [finding.status for finding in found if finding.check == "roles"] == ["warn"]
