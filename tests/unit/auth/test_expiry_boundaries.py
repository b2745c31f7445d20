"""The last millisecond of a credential is its last."""

from __future__ import annotations

import pytest

from entrepot.auth.access_tokens import token_logins
from entrepot.auth.machine_logins import Attempt
from entrepot.auth.principals import NO_ORIGIN
from entrepot.auth.robots import robot_logins
from entrepot.metadata.credential_store import StoredRobotCredential, StoredSponsor, StoredTokenCredential


@pytest.mark.parametrize(
    ("remaining", "obstacle"), [(None, ""), (1, ""), (0, "expired"), (-1, "expired"), (-(10**12), "expired")]
)
def test_a_credential_is_good_while_time_remains(remaining: int | None, obstacle: str) -> None:
    robot = StoredRobotCredential(
        "r1",
        "robot$ci",
        0,
        disabled=False,
        expires_at=remaining,
        remaining_milliseconds=remaining,
        secret_hash="",
        allowed_addresses=b"[]",
        sponsor=StoredSponsor("alice-id", 0),
    )
    token = StoredTokenCredential(
        "s1",
        "alice",
        0,
        disabled=False,
        must_change_password=False,
        password_age_milliseconds=None,
        credential="t1",
        scopes=b'{"permissions":null,"projects":null}',
        expires_at=remaining,
        remaining_milliseconds=remaining,
        secret_hash="",
    )

    assert robot_logins._obstacle(robot, Attempt("robot$ci", "", "", NO_ORIGIN, forwarded=False)) == obstacle
    assert token_logins._obstacle(token, "alice") == obstacle
