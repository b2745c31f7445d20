"""A robot stops with who answers for it; who looks is told, and a colleague brings it back as the pages say (S9)."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.integration.client_command_line import ClientCommandLine
from tests.running.with_accounts import ADMINISTRATOR, PASSWORD, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ALLOW = "--allow repository:pull --allow repository:push"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EntrepotWithAccounts]:
    with EntrepotWithAccounts(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def admin(registry: EntrepotWithAccounts, tmp_path: Path) -> ClientCommandLine:
    client = ClientCommandLine(tmp_path / "admin", registry.host)
    client.log_in(ADMINISTRATOR.name, ADMINISTRATOR.secret)
    return client


def _maker(admin: ClientCommandLine, name: str, robot: str) -> str:
    """Make a person, who makes a robot, and return its secret."""
    admin.run(f"user create {name} --email {name}@example.org --password-stdin", stdin=f"{PASSWORD}\n")
    if "team" not in admin.run("project list -o name"):
        admin.run("project create team")
    admin.run(f"member add team {name} --role project-admin")
    maker = ClientCommandLine(admin.home.with_name(name), admin.host)
    maker.log_in(name, PASSWORD)
    return maker.run(f"robot create {robot} --project team {_ALLOW} -o name").strip()


def _gets(registry: EntrepotWithAccounts, robot: str, secret: str) -> list[str]:
    """Return what a token of a robot of team's is good for."""
    query = {"service": "entrepot", "scope": "repository:team/app:pull,push"}
    reply = httpx.get(f"{registry.url}/service/token", params=query, auth=(f"robot$team+{robot}", secret))
    assert reply.status_code == 200, reply.text
    payload = reply.json()["token"].split(".")[1]
    claims: dict[str, list[dict[str, list[str]]]] = json.loads(base64.urlsafe_b64decode(f"{payload}=="))
    return sorted(action for access in claims.get("access", []) for action in access["actions"])


def _answerable(admin: ClientCommandLine, robot: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(admin.run(f"robot show {robot} --project team -o json"))["answerable"]
    return found


@pytest.mark.parametrize(
    ("end", "said", "state", "shown"),
    [
        ("user disable {}", "Disabled {}. 1 robot stops", "disabled", "{} (disabled)"),
        ("user delete {} --yes", "Deleted user {}. 1 robot stops", "gone", "nobody (gone)"),
        ("member remove team {} --yes", "Removed", "present", "{} (lacks rights)"),
    ],
)
@pytest.mark.parametrize(
    "command", ["robot rotate {} --project team -o name", "robot update {} --project team {}"]
)
def test_a_robot_that_stops_is_seen_and_taken_over_s9(
    registry: EntrepotWithAccounts,
    admin: ClientCommandLine,
    end: str,
    said: str,
    state: str,
    shown: str,
    command: str,
) -> None:
    """Its new secret, or its permissions given anew, make the colleague the one who answers for it."""
    name = f"{state}-{command.split()[1]}"
    secret = _maker(admin, name, f"ci-{name}")
    before = _gets(registry, f"ci-{name}", secret)

    told = admin.say(end.format(name))

    assert before == ["pull", "push"]
    assert said.format(name) in told
    assert _gets(registry, f"ci-{name}", secret) == []
    assert _answerable(admin, f"ci-{name}")["state"] == state
    (line,) = [line for line in admin.run("robot list --project team").splitlines() if f"ci-{name} " in line]
    assert shown.format(name) in line
    facts = admin.run(f"robot show ci-{name} --project team").splitlines()
    lacks = "team=repository:pull, team=repository:push" if state == "present" else "all"
    assert [line.split(maxsplit=2)[2] for line in facts if line.startswith("IN VAIN")] == [lacks]

    taken = admin.run(command.format(f"ci-{name}", _ALLOW)).strip()

    assert _gets(registry, f"ci-{name}", taken or secret) == ["pull", "push"]
    assert _answerable(admin, f"ci-{name}") == {"name": ADMINISTRATOR.name, "state": "present", "lacks": []}


def test_who_answers_for_no_robot_is_disabled_without_a_word_of_robots(admin: ClientCommandLine) -> None:
    admin.run("user create zoe --email zoe@example.org --password-stdin", stdin=f"{PASSWORD}\n")

    assert admin.say("user disable zoe") == "Disabled zoe.\n"
    assert admin.say("user delete zoe --yes") == "Deleted user zoe.\n"


@pytest.mark.parametrize("end", ["user disable {}", "user delete {} --yes"])
def test_a_robot_that_nobody_answers_for_sees_no_project_not_even_what_is_public_s9(
    registry: EntrepotWithAccounts, admin: ClientCommandLine, end: str
) -> None:
    name = f"public-{end.split()[1]}"
    secret = _maker(admin, name, name)
    admin.run("project set team public=true")

    def seen() -> list[str]:
        reply = httpx.get(f"{registry.url}/api/v2.0/projects", auth=(f"robot$team+{name}", secret))
        assert reply.status_code == 200, reply.text
        return [project["name"] for project in reply.json()]

    before = seen()
    admin.run(end.format(name))

    assert (before, seen()) == (["team"], [])
    admin.run("project set team public=false")
