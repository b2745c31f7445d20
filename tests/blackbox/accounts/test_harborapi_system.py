"""harborapi's calls about the registry itself: its health, its settings, what can be permitted, who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from harborapi.exceptions import BadRequest, Forbidden
from harborapi.models import Configurations

if TYPE_CHECKING:
    from collections.abc import Callable

    from harborapi import HarborAsyncClient

    from tests.blackbox.accounts.conftest import Look, Team
    from tests.running.control_client import Account
    from tests.running.with_accounts import EntrepotWithAccounts

_SETTING: Final = "SELECT value FROM configurations WHERE name = :name"


async def test_it_answers_and_is_healthy(harbor: HarborAsyncClient, registry: EntrepotWithAccounts) -> None:
    """The components are those whose readiness the other listener tells."""
    assert await harbor.ping() == "Pong"

    health = await harbor.health_check()

    assert health.status == "healthy"
    assert health.components is not None
    assert {"core", "database", "registry"} <= {component.name for component in health.components}
    assert registry.get_ops("/readyz")[0] == 200


async def test_system_information_tells_strangers_less(
    harbor: HarborAsyncClient, registry: EntrepotWithAccounts
) -> None:
    """The version is for those who are known."""
    known = await harbor.get_system_info()
    unknown = registry.control(None).get("/systeminfo")

    assert (known.auth_mode, known.self_registration) == ("db_auth", False)
    assert known.harbor_version
    assert "harbor_version" not in unknown


async def test_a_setting_is_changed_at_run_time_and_others_are_not(
    harbor: HarborAsyncClient, registry: EntrepotWithAccounts, look: Look
) -> None:
    """The banner, kept as JSON, is seen by everybody; what can't be edited stays what it was (S8)."""
    await harbor.update_config(Configurations(banner_message="down on Sunday"))

    assert look(_SETTING, name="banner_message") == [('"down on Sunday"',)]
    shown = await harbor.get_config()
    assert shown.banner_message is not None
    assert (shown.banner_message.value, shown.banner_message.editable) == ("down on Sunday", True)
    assert registry.control(None).get("/systeminfo")["banner_message"] == "down on Sunday"
    with pytest.raises(BadRequest):
        await harbor.update_config(Configurations(auth_mode="ldap_auth"))
    assert look(_SETTING, name="auth_mode") == []
    await harbor.update_config(Configurations(banner_message=""))


async def test_settings_are_for_operators(
    harbor_as: Callable[[Account], HarborAsyncClient], team: Team, look: Look
) -> None:
    """An auditor reads them and changes nothing; a project admin does neither."""
    before = look("SELECT name, value FROM configurations ORDER BY name")
    harbor = harbor_as(team.people["auditor"])
    assert (await harbor.get_config()).auth_mode is not None

    for role in ("auditor", "project-admin", "developer", "outsider"):
        harbor = harbor_as(team.people[role])
        with pytest.raises(Forbidden):
            await harbor.update_config(Configurations(read_only=True))

    assert look("SELECT name, value FROM configurations ORDER BY name") == before


async def test_what_can_be_permitted_is_listed(harbor: HarborAsyncClient, team: Team) -> None:
    """Each pair of a project, but those about robots, can be given to a robot; one that is not listed can't."""
    listed = await harbor.get_permissions()
    assert listed.project is not None
    assert listed.system is not None
    pairs = {f"{permission.resource}:{permission.action}" for permission in listed.project}

    assert {"repository:pull", "repository:push", "repository:create", "tag:overwrite"} <= pairs
    team.control.create_robot(
        team.name, "all", sorted(pair for pair in pairs if not pair.startswith("robot:"))
    )
    entry = {"kind": "project", "namespace": team.name, "access": [{"resource": "moon", "action": "pull"}]}
    document = {"name": "moon", "level": "project", "duration": 1, "permissions": [entry]}
    assert team.control.request("POST", "/robots", document).status == 400


async def test_who_did_what_is_in_the_log_of_the_project_and_of_the_registry(
    harbor: HarborAsyncClient, team: Team, look: Look
) -> None:
    """The push with which the project was filled is in each, by its name here, with the name of who did it."""
    of_project = await harbor.get_project_logs(team.name, page_size=100)
    everywhere = await harbor.get_audit_logs(
        query="username=admin", sort="-op_time", page_size=100, limit=100
    )

    for logs in (of_project, everywhere):
        found = [entry for entry in logs if team.repository in str(entry.resource)]
        assert {entry.username for entry in found} == {"admin"}
        assert "manifest.push" in {entry.operation for entry in found}
    recorded = look(
        "SELECT action, outcome FROM audit_records WHERE project = :name AND user_name = 'admin'",
        name=team.name,
    )
    assert {("project.create", "success"), ("manifest.push", "success")} <= set(recorded)


async def test_the_log_is_not_for_everybody(
    harbor_as: Callable[[Account], HarborAsyncClient], make_team: Callable[..., Team]
) -> None:
    """Developers read none; a team lead the own project's, and no other's (S2, S19: missing and forbidden alike)."""
    mine, other = make_team(), make_team(roles=())
    harbor = harbor_as(mine.people["team-lead"])
    assert await harbor.get_project_logs(mine.name) != []
    for hidden in (other.name, "no-such-project"):
        with pytest.raises(Forbidden):
            await harbor.get_project_logs(hidden)
    harbor = harbor_as(mine.people["developer"])
    with pytest.raises(Forbidden):
        await harbor.get_project_logs(mine.name)
