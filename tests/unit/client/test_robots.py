"""What is shown of robots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.unit.client.scripted_api import Answer

if TYPE_CHECKING:
    from tests.unit.client.conftest import Client
    from tests.unit.client.scripted_api import Asked, ScriptedApi


def test_a_robot_that_has_expired_is_shown_as_such(client: Client, api: ScriptedApi) -> None:
    ends = {"past": 946684800, "later": 4102444800, "endless": -1}
    said = [{"id": 1, "name": f"robot${name}", "expires_at": at} for name, at in ends.items()]
    client.log_in(api)
    api.on("GET /robots", said)

    past, later, endless = client.run("robot", "list").out.splitlines()[1:]

    assert "2000-01-01 00:00:00+00:00 (expired)" in past
    assert "2100-01-01 00:00:00+00:00" in later
    assert "never" in endless
    assert "expired" not in later + endless
    assert "(expired)" in client.run("robot", "show", "past").out
    assert json.loads(client.run("robot", "list", "-o", "json").out) == said


def test_days_are_counted_from_now_and_the_new_end_is_said(client: Client, api: ScriptedApi) -> None:
    """Whenever the robot was made: the registry counts, and what it made of it is shown."""
    client.log_in(api)
    shown = {"id": 51, "name": "robot$ci", "expires_at": 946684800}
    api.on("GET /robots", [shown])

    def prolong(_: Asked) -> Answer:
        api.on("GET /robots", [{**shown, "expires_at": 4102444800}])
        return Answer(200)

    api.on_call("PUT /robots/51", prolong)

    result = client.run("robot", "update", "ci", "--days", "30", "--disable")

    assert api.document_of("PUT /robots/51") == {"expires_in_days": 30, "disable": True}
    assert (result.code, result.out) == (0, "")
    assert result.err == "Changed robot ci. It ends: 2100-01-01 00:00:00+00:00.\n"


def test_a_rotated_robot_that_has_expired_is_told_with_the_whole_command(
    client: Client, api: ScriptedApi
) -> None:
    """Which can be pasted as it stands, also for a name that a shell would read as a variable."""
    client.log_in(api)
    api.on("GET /projects/team", {"project_id": 5, "name": "team"})
    api.on("GET /robots", [{"id": 51, "name": "robot$team+ci", "expires_at": 946684800}])
    api.on("PATCH /robots/51", {"secret": "ers_two"})

    result = client.run("robot", "rotate", "robot$team+ci", "--project", "team")

    assert result.err.splitlines()[-1] == (
        "Robot robot$team+ci has expired, so the secret opens nothing. To let it live on: "
        "entrepot robot update 'robot$team+ci' --project team --days 30"
    )
