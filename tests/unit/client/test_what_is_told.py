"""What commands say where the words of the registry alone would lead astray."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.client.scripted_api import refusal

if TYPE_CHECKING:
    from tests.unit.client.conftest import Client
    from tests.unit.client.scripted_api import ScriptedApi


@pytest.fixture(autouse=True)
def _registry(client: Client, api: ScriptedApi) -> None:
    """A registry with one person, to which somebody is logged in."""
    client.log_in(api)
    api.on("GET /users", [{"user_id": 8, "username": "bob"}])


def test_nobody_has_a_comma_in_their_name(client: Client, api: ScriptedApi) -> None:
    """Where a part of a name is looked for, it would end the term; a whole name is quoted."""
    listed = client.run("user", "list", "--name", "a,b", "-o", "name")
    client.run("user", "show", "a,b")

    assert (listed.code, listed.out) == (0, "")
    assert [one.query["q"] for one in api.asked if one.path == "/users"] == ['username={"a%2Cb"}']


def test_a_token_for_a_project_that_is_not_there_ends_with_4(client: Client, api: ScriptedApi) -> None:
    api.on(
        "POST /access-tokens",
        refusal(422, "projects: there is no project nosuch, or you may do nothing in it"),
    )

    made = client.run("token", "create", "ci", "--project", "nosuch", "--password-stdin", stdin="password\n")

    assert made.code == 4
    assert made.err.splitlines()[0] == (
        "entrepot: projects: there is no project nosuch, or you may do nothing in it"
    )
    assert "see the help of the command" not in made.err


@pytest.mark.parametrize(("options", "told"), [((), True), (("--project", "team"), False)])
def test_who_may_not_read_the_whole_log_is_told_of_that_of_a_project(
    client: Client, api: ScriptedApi, options: tuple[str, ...], told: bool
) -> None:
    for path in ("/audit-logs", "/projects/team/logs"):
        api.on(f"GET {path}", refusal(403, "this takes audit-log:list on the system"))

    refused = client.run("audit", "list", *options)

    assert refused.code == 1
    assert ("Team leads read the log of their project: --project NAME." in refused.err) is told


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ("2026-11-27T10:00:00Z", True),
        ("2026-11-27T10:00:01Z", False),
        ("", False),
        ("soon", False),
    ],
)
def test_a_login_that_ended_is_said_to_have_ended(
    client: Client, api: ScriptedApi, ends: str, told: bool
) -> None:
    """By the clock of the registry; all else that is wrong with a secret stays what the registry says of it."""
    client.log_in(api)
    document = client.stored()
    document["servers"][api.url]["expires_at"] = ends
    client.file.write_text(json.dumps(document))
    wrong = "the user name or the secret is wrong"
    api.on("GET /projects/team", refusal(401, wrong, date="Fri, 27 Nov 2026 10:00:00 GMT"))

    refused = client.run("project", "show", "team")

    said = f"entrepot: the login to {api.url} ended 2026-11-27 10:00:00+00:00"
    assert refused.code == 3
    assert refused.err.splitlines()[0] == (said if told else f"entrepot: {wrong}")
    assert f"entrepot login {api.url}" in refused.err
