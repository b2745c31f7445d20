"""Settings that are changed at run time, on both engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.errors import ActionDisabledError
from entrepot.auth.grants import Delete, Pull, Push
from entrepot.auth.loopback import EveryoneAuthorizer
from entrepot.auth.modes import ModeAuthorizer, ModeGate, Modes
from entrepot.auth.project_actions import CreateRepository, DeleteRepository
from entrepot.auth.system_actions import ReadConfiguration, UpdateConfiguration
from entrepot.oci.names import RepositoryName
from entrepot.projects.configurations import Configurations
from entrepot.projects.errors import ConfigurationInvalidError
from tests.drivers.metadata.projects.world import NOBODY
from tests.plumbing.identity_doubles import no_obstacle

if TYPE_CHECKING:
    from entrepot.projects.configurations import ConfigurationValue
    from tests.drivers.metadata.projects.world import World

_NAME: Final = RepositoryName.parse("team/app")


async def test_settings_are_shown_with_whether_they_can_be_changed(world: World) -> None:
    await world.configurations.update(
        world.on_system(UpdateConfiguration), {"banner_message": "closed on Sunday", "read_only": True}
    )

    shown = await world.configurations.read(world.on_system(ReadConfiguration))

    assert {name: (item.value, item.editable) for name, item in shown.items()} == {
        "audit_log_forward_endpoint": ("", False),
        "auth_mode": ("db_auth", False),
        "banner_message": ("closed on Sunday", True),
        "notification_enable": (False, False),
        "project_creation_restriction": ("adminonly", True),
        "quota_per_project_enable": (False, False),
        "read_only": (True, True),
        "robot_name_prefix": ("robot$", False),
        "scanner_skip_update_pulltime": (False, False),
        "self_registration": (False, False),
        "session_timeout": (30, False),
        "skip_audit_log_database": (False, False),
        "storage_per_project": (-1, False),
        "token_expiration": (5, False),
    }
    assert await world.changes("configuration.update") == [
        {
            "before": {"banner_message": "", "read_only": False},
            "after": {"banner_message": "closed on Sunday", "read_only": True},
        }
    ]


_REFUSED: Final[tuple[tuple[str, ConfigurationValue], ...]] = (
    ("auth_mode", "ldap_auth"),
    ("robot_name_prefix", "bot"),
    ("self_registration", True),
    ("unheard_of", 1),
    ("read_only", 1),
    ("read_only", "true"),
    ("token_expiration", 6),
    ("session_timeout", 31),
    ("project_creation_restriction", "nobody"),
    ("banner_message", "x" * 4097),
)


async def test_what_cannot_be_set_changes_nothing_s8(world: World) -> None:
    for name, value in _REFUSED:
        with pytest.raises(ConfigurationInvalidError) as caught:
            await world.configurations.update(
                world.on_system(UpdateConfiguration), {"banner_message": "hello", name: value}
            )
        assert caught.value.name == name, value

    assert await world.database.value("SELECT count(*) FROM configurations") == 0
    assert await world.records("configuration.update") == []


async def test_what_another_node_sets_holds_within_five_seconds(world: World) -> None:
    other = Configurations(world.metadata, world.decisions)
    assert (await world.configurations.current()).read_only is False
    await other.update(world.on_system(UpdateConfiguration), {"read_only": True})

    world.clock.now = 3.9
    assert (await world.configurations.current()).read_only is False
    world.clock.now = 4.0
    assert (await world.configurations.current()).read_only is True
    assert (await other.current()).read_only is True


async def test_a_closed_registry_takes_no_push_and_no_delete_on_any_path_s12(world: World) -> None:
    gate = ModeGate(Modes(), world.configurations, no_obstacle)
    authorizer = ModeAuthorizer(EveryoneAuthorizer(), gate)
    project = await world.add_project("team")
    await world.repositories.create(world.on(project, CreateRepository), "app")
    await authorizer.authorize(NOBODY, Push, _NAME)

    await world.configurations.update(world.on_system(UpdateConfiguration), {"read_only": True})

    for action in (Push, Delete):
        with pytest.raises(ActionDisabledError):
            await authorizer.authorize(NOBODY, action, _NAME)
    with pytest.raises(ActionDisabledError):
        await world.repositories.create(world.on(project, CreateRepository), "web")
    with pytest.raises(ActionDisabledError):
        await world.repositories.delete(world.on(project, DeleteRepository), "app")
    assert (await authorizer.authorize(NOBODY, Pull, _NAME)).action is Pull

    await world.configurations.update(world.on_system(UpdateConfiguration), {"read_only": False})
    await world.repositories.delete(world.on(project, DeleteRepository), "app")


async def test_what_the_node_is_set_to_is_shown_and_not_changed_here(world: World) -> None:
    node = Configurations(world.metadata, world.decisions, token_minutes=7, session_minutes=11)

    shown = await node.read(world.on_system(ReadConfiguration))

    assert [
        (shown[name].value, shown[name].editable) for name in ("token_expiration", "session_timeout")
    ] == [
        (7, False),
        (11, False),
    ]
