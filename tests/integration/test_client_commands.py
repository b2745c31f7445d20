"""The client's commands against the registry itself: what one asks for is what the other offers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT
from tests.integration.client_command_line import ClientCommandLine
from tests.running.with_accounts import ADMINISTRATOR, PASSWORD, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EntrepotWithAccounts]:
    with EntrepotWithAccounts(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def admin(registry: EntrepotWithAccounts, tmp_path: Path) -> ClientCommandLine:
    client = ClientCommandLine(tmp_path / "admin", registry.host)
    client.log_in(ADMINISTRATOR.name, ADMINISTRATOR.secret)
    return client


def test_a_login_acts_with_a_token_that_logout_ends(
    registry: EntrepotWithAccounts, admin: ClientCommandLine
) -> None:
    stored = json.loads((admin.home / "entrepot" / "client.json").read_text())
    (login,) = stored["servers"].values()
    kept = ClientCommandLine(admin.home.with_name("copy"), registry.host)
    (kept.home / "entrepot").mkdir(parents=True)
    copy = kept.home / "entrepot" / "client.json"
    copy.touch(mode=0o600)
    copy.write_text(json.dumps(stored))

    assert login["secret"].startswith("ept_")
    assert kept.run("whoami -o name") == f"{ADMINISTRATOR.name}\n"
    admin.run("logout")
    kept.run("whoami", code=3)


def test_people_groups_members_and_projects(admin: ClientCommandLine, tmp_path: Path) -> None:
    admin.run("project create crew --set repository_creation=developers")
    admin.run("project create crew", code=5)
    admin.run("user create eve --email eve@example.org --password-stdin", stdin=f"{PASSWORD}\n")
    admin.run("group create rowers")
    admin.run("group add rowers eve")
    admin.run("member add crew rowers --group --role developer")
    assert admin.run("group members rowers -o name") == "eve\n"
    assert admin.run("member list crew -o name").split() == ["admin", "rowers"]

    eve = ClientCommandLine(tmp_path / "eve", admin.host)
    eve.log_in("eve", PASSWORD)
    assert eve.run("project list -o name") == "crew\n"
    eve.run("user list", code=1)
    assert eve.run("user show eve -o name") == "eve\n"
    eve.run("user show admin", code=1)
    eve.run("project delete crew --yes", code=1)

    admin.run("member change crew rowers --group --role guest")
    admin.run("member remove crew rowers --group --yes")
    admin.run("user disable eve")
    eve.run("whoami", code=3)
    admin.run("user enable eve")
    admin.run("user unlock eve")
    admin.run("user admin eve")
    admin.run("user admin eve --revoke --yes")
    admin.run("user delete eve --yes")
    admin.run("user show eve", code=4)
    admin.run("group delete rowers --yes")
    admin.run("project delete crew --yes")
    assert admin.run("project list -o name") == ""


def test_the_settings_make_people_change_the_password_that_they_were_made_with_s17(tmp_path: Path) -> None:
    settings = {"passwords": {"change_first": True}}
    with EntrepotWithAccounts(tmp_path / "registry", settings=settings) as registry:
        admin, eve = (
            ClientCommandLine(tmp_path / "admin", registry.host),
            ClientCommandLine(tmp_path / "eve", registry.host),
        )
        admin.log_in(ADMINISTRATOR.name, ADMINISTRATOR.secret)
        admin.run("user create eve --email eve@example.org --password-stdin", stdin=f"{PASSWORD}\n")

        eve.run(f"login {registry.host} -u eve --password-stdin", stdin=f"{PASSWORD}\n", code=1)


def test_sessions_and_tokens_of_others_are_seen_and_ended_by_administrators_s14(
    registry: EntrepotWithAccounts, admin: ClientCommandLine, tmp_path: Path
) -> None:
    """Own sessions are everybody's to end, and nobody else's are, but an administrator's (S7)."""
    admin.run("user create gil --email gil@example.org --password-stdin", stdin=f"{PASSWORD}\n")
    gil = ClientCommandLine(tmp_path / "gil", admin.host)
    gil.log_in("gil", PASSWORD)
    body = {"username": "gil", "password": PASSWORD}
    sessions = [registry.control(None).request("POST", "/sessions", body) for _ in range(2)]
    assert [reply.status for reply in sessions] == [201, 201]

    first, second = gil.run("session list -o name").split()
    assert admin.run("session list -o name") == ""
    assert {first, second} <= set(admin.run("session list --all -o name").split())
    gil.run("session list --all", code=1)
    gil.run(f"session end {first} --yes")
    gil.run(f"session end {first} --yes", code=4)
    (shown,) = json.loads(gil.run("session list -o json"))
    assert (shown["id"], shown["username"]) == (second, "gil")
    admin.run(f"session end {second} --yes")
    assert gil.run("session list -o name") == ""

    (token,) = json.loads(admin.run("token list --user gil -o json"))
    gil.run("token list --user admin", code=1)
    admin.run("token delete nothing --user gil --yes", code=4)
    admin.run(f"token delete {token['id']} --user gil --yes")
    gil.run("whoami", code=3)
    admin.run("user delete gil --yes")


def test_robots_tokens_repositories_roles_labels_settings_and_the_log(
    admin: ClientCommandLine, tmp_path: Path
) -> None:
    admin.run("project create ship")
    admin.run("repository create ship/a/b")
    assert admin.run("repository list ship -o name") == "ship/a/b\n"
    secret = admin.run("robot create ci --project ship --allow member:list --allow repository:list -o name")
    robot = ClientCommandLine(tmp_path / "robot", admin.host)
    robot.log_in("robot$ship+ci", secret.strip())
    assert robot.run("repository list ship -o name") == "ship/a/b\n"
    other = admin.run("robot rotate ci --project ship -o name")
    assert other != secret
    robot.run("repository list ship", code=3)
    admin.run("robot update ci --project ship --disable --days 7")
    admin.run("robot delete ci --project ship --yes")

    password = f"{ADMINISTRATOR.secret}\n"
    token = admin.run("token create lap --allow project:read --password-stdin -o name", stdin=password)
    assert token.startswith("ept_")
    assert "lap" in admin.run("token list --password-stdin -o name", stdin=password).split()
    admin.run("token delete lap --yes --password-stdin", stdin=password)

    admin.run("role create mover --allow log:list")
    admin.run("role update mover --description Moves.")
    assert "Moves." in admin.run("role show mover")
    admin.run("role assign admin auditor")
    assert admin.run("role assignments -o name").split() == ["admin", "admin"]
    admin.run("role revoke admin auditor --yes")
    admin.run("role delete mover --yes")

    admin.run("label create bug --project ship --color #FF0000")
    admin.run("label change bug --project ship --rename fault")
    assert admin.run("label list --project ship -o name") == "fault\n"
    admin.run("label delete fault --project ship --yes")
    admin.run("config set banner_message=Hello")
    assert json.loads(admin.run("config show -o json"))["banner_message"]["value"] == "Hello"

    admin.run("repository delete ship/a/b --yes")
    admin.run("project delete ship --yes")
    acts = json.loads(admin.run("audit list --user admin --since 2026-01-01 --limit 5 -o json"))
    assert [act["operation"] for act in acts][:2] == ["project.delete", "repository.delete"]
    at = acts[0]["op_time"]
    deleted = "audit list --action project.delete --resource ship"
    assert admin.run(f"{deleted} --from {at}").splitlines()[1].split()[1] == at
    assert json.loads(admin.run(f"{deleted} --to {at} -o json")) == []
    query = "audit list --address 127.0.0.1 --action project.delete --resource ship -o json"
    assert [act["resource"] for act in json.loads(admin.run(query))] == ["ship"]
    assert json.loads(admin.run("audit list --address 192.0.2.7 -o json")) == []


def test_repositories_are_deleted_by_the_names_that_the_list_has(admin: ClientCommandLine) -> None:
    """As `repository list library -o name | xargs` does it; each name is the one that is meant, once."""
    admin.run("project create library")
    for name in ("hello", "library/hello", "library/other", "_/hello"):
        admin.run(f"repository create {name}", code=4 if name.startswith("_") else 0)
    admin.run("repository delete library/hello --yes")
    said = admin.say("repository delete library/hello --yes", code=4)
    assert "repository library/hello does not exist, but hello does" in said
    assert admin.run("repository list library -o name").split() == ["hello", "library/other"]
    admin.run("repository create library/hello")

    for name in admin.run("repository list library -o name").split():
        admin.run(f"repository delete {name} --yes")

    assert admin.run("repository list library -o name") == ""
    admin.run("project delete library --yes")
    acts = json.loads(admin.run("audit list --action repository.delete --outcome success --limit 4 -o json"))
    assert [act["resource"] for act in acts] == [
        "library/other",
        "library/hello",
        "hello",
        "library/hello",
    ]


def test_an_action_that_there_is_not_is_refused(admin: ClientCommandLine) -> None:
    """An auditor who mistyped must not read that nothing happened."""
    assert admin.run("audit list --action manifest.pusch", code=1) == ""


def test_what_is_called_with_a_comma_is_found_and_what_is_not_there_ends_with_4(
    admin: ClientCommandLine,
) -> None:
    """Commas part the terms of a filter, slashes the parts of a path: neither of them is what the message is about."""
    admin.run("label create red,blue")
    admin.run("project create team")

    (act,) = json.loads(admin.run("audit list --resource red,blue -o json"))
    assert (act["operation"], act["resource"]) == ("label.create", "red,blue")
    assert admin.run("user list --name a,b -o name") == ""
    for command in ("user show a,b", "user show ~admin", "project show team/app", "group members a,b"):
        assert "there is no" in admin.say(command, code=4)
    token = "token create ci --password-stdin"
    said = admin.say(f"{token} --project nosuch", stdin=f"{ADMINISTRATOR.secret}\n", code=4)
    assert said.startswith("entrepot: projects: there is no project nosuch")
    said = admin.say(f"{token} --days 0", stdin=f"{ADMINISTRATOR.secret}\n", code=1)
    assert said.startswith("entrepot: expires_in_days: 1 to 365")


def test_lists_are_read_over_all_their_pages(
    admin: ClientCommandLine, registry: EntrepotWithAccounts
) -> None:
    control = registry.control()
    names = [f"many-{number:03}" for number in range(105)]
    for name in names:
        control.create_project(name)

    assert admin.run("project list --name many- -o name").split() == names
    assert admin.run("project list --name many- -o name --limit 3").split() == names[:3]


def test_an_administrator_of_a_project_gives_a_custom_role_by_its_name(
    admin: ClientCommandLine, tmp_path: Path
) -> None:
    for name in ("ida", "jon"):
        admin.run(f"user create {name} --email {name}@example.org --password-stdin", stdin=f"{PASSWORD}\n")
    admin.run("role create shipper --allow repository:pull --allow member:list")
    admin.run("role create keeper --level system --allow user:list")
    admin.run("project create dock")
    admin.run("member add dock ida --role project-admin")
    ida = ClientCommandLine(tmp_path / "ida", admin.host)
    ida.run(f"login {admin.host} -u ida --password-stdin", stdin=f"{PASSWORD}\n")

    ida.run("member add dock jon --role shipper")
    ida.run("member add dock jon --role keeper", code=2)

    listed = json.loads(ida.run("member list dock -o json"))
    assert [one["role_name"] for one in listed if one["entity_name"] == "jon"] == ["shipper"]
    seen = json.loads(ida.run("role list --project dock -o json"))
    assert [one["permissions"]["project"] for one in seen if one["name"] == "shipper"] == [
        ["member:list", "repository:pull"]
    ]
    assert {"keeper", "operations-admin"}.isdisjoint(one["name"] for one in seen)
    ida.run("role list", code=1)
    admin.run("project create quay")
    ida.run("role list --project quay", code=1)


def test_a_password_that_an_administrator_gave_is_changed_first(
    admin: ClientCommandLine, tmp_path: Path
) -> None:
    admin.run("user create fay --email fay@example.org --password-stdin", stdin=f"{PASSWORD}\n")
    admin.run("user reset-password fay --password-stdin", stdin="Gravel*Window-71\n")
    fay = ClientCommandLine(tmp_path / "fay", admin.host)
    login = f"login {admin.host} -u fay --password-stdin"

    fay.run(login, stdin="Gravel*Window-71\n", code=1)
    fay.run(f"{login} --store-password", stdin="Gravel*Window-71\n")
    fay.run("user password --password-stdin", stdin="Gravel*Window-71\nMeadow^Sailor-82\n")
    fay.run(login, stdin="Meadow^Sailor-82\n")

    assert fay.run("whoami -o name") == "fay\n"


def test_a_script_changes_the_first_password_without_a_login(
    admin: ClientCommandLine, tmp_path: Path
) -> None:
    admin.run("user create hal --email hal@example.org --password-stdin", stdin=f"{PASSWORD}\n")
    admin.run("user reset-password hal --password-stdin", stdin="Gravel*Window-71\n")
    hal = ClientCommandLine(tmp_path / "hal", admin.host)
    change = f"user password --server {admin.host} --user hal --password-stdin"

    hal.run(change, stdin="Meadow^Sailor-82\nGravel*Window-71\n", code=3)
    hal.run(change, stdin="Gravel*Window-71\nMeadow^Sailor-82\n")
    hal.run(f"login {admin.host} -u hal --password-stdin", stdin="Meadow^Sailor-82\n")

    assert hal.run("whoami -o name") == "hal\n"


def test_the_helpdesk_of_the_pages_helps_those_who_hold_no_more_s9(
    admin: ClientCommandLine, tmp_path: Path
) -> None:
    """The commands are those of docs/how-to/accounts.md; the last one adds the people of projects."""
    for name in ("hd", "una", "kit"):
        admin.run(f"user create {name} --email {name}@example.org --password-stdin", stdin=f"{PASSWORD}\n")
    admin.run("project create office")
    admin.run("member add office kit --role developer")
    page = (ROOT / "docs/how-to/accounts.md").read_text()
    create, assign, more = [
        line.removeprefix("entrepot ")
        for line in page.splitlines()
        if line.startswith("entrepot role ") and ("helpdesk" in line or " hd " in line)
    ]
    admin.run(create)
    admin.run(assign)
    helper = ClientCommandLine(tmp_path / "hd", admin.host)
    helper.log_in("hd", PASSWORD)

    helper.run("user reset-password una --password-stdin", stdin="Velvet-Harvest-63\n")
    helper.run("user disable una")
    helper.run("user enable una")
    helper.run("user unlock una")
    helper.run("user unlock kit", code=1)
    admin.run(more)
    helper.run("user unlock kit")
    helper.run("user unlock admin", code=1)
