"""What is shown of robots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.client.conftest import Client
    from tests.unit.client.scripted_api import ScriptedApi


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
