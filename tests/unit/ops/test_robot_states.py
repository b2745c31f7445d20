"""What commands on the host say of a robot that is kept out."""

from __future__ import annotations

import pytest

from entrepot.metadata.credential_store import StoredRobotCredential, StoredSponsor
from entrepot.ops.admin.states import what_keeps_robot_out


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("robot$ci", "entrepot robot update ci"),
        ("robot$team+ci", "entrepot robot update ci --project team"),
    ],
)
def test_the_command_that_helps_a_robot_is_told_whole(name: str, command: str) -> None:
    """With its place, and in words that a shell leaves alone."""

    def told(*, disabled: bool, remaining: int | None) -> str:
        sponsor = StoredSponsor("alice-id", 0)
        return what_keeps_robot_out(
            StoredRobotCredential("id", name, 0, disabled, 1, remaining, "", b"[]", sponsor)
        )

    assert told(disabled=True, remaining=None).endswith(f": {command} --enable")
    assert told(disabled=False, remaining=0).endswith(f": {command} --days 30")
    assert told(disabled=False, remaining=1) == ""
