"""What the audit log tells of tokens: to whom they were given, what they are good for, and what was asked for (I11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from entrepot.auth.generated_secrets import new_secret
from entrepot.kernel.secret_forms import MOST_CHARACTERS
from tests.integration.token_serving import server  # found by name

if TYPE_CHECKING:
    from tests.integration.token_serving import TokenServing

__all__ = ["server"]

_BASIC = {"Authorization": "Basic YWxpY2U6czNjcmV0"}


async def _after(server: TokenServing, scope: str) -> dict[str, Any]:
    """Return what the record of a token that is asked for says was given."""
    assert (await server.get(f"scope={scope}", _BASIC)).status == 200
    after: dict[str, Any] = (await server.audit())[-1]["change"]["after"]
    return after


async def test_each_issue_to_somebody_is_recorded_once_i11(server: TokenServing) -> None:
    await server.get("client_id=docker&scope=repository:team/base:pull,push", _BASIC)
    await server.get("client_id=docker&offline_token=true", _BASIC)

    first, second = await server.audit()
    assert (first["event.action"], first["user.id"], first["event.outcome"]) == (
        "token.issue",
        "alice-id",
        "success",
    )
    assert first["change"]["after"] == {
        "asked": "repository:team/base:pull,push",
        "client_id": "docker",
        "expires_in": 300,
        "refresh_token": "none",
        "scope": "repository:team/base:pull",
    }
    assert second["change"]["after"]["refresh_token"] == "issued"


async def test_s27_what_a_client_calls_itself_is_cut_and_tells_no_secret(server: TokenServing) -> None:
    pasted = f"{new_secret('epr_')} {'x' * 20_000}"
    await server.get(f"client_id={pasted.replace(' ', '+')}&offline_token=true", _BASIC)
    kept = (await server.audit())[-1]["change"]["after"]["client_id"]
    stored = await server.database.fetch("SELECT client_id FROM refresh_tokens")
    assert kept.endswith("x" * 900)
    assert len(kept) <= MOST_CHARACTERS
    assert pasted[:40] not in kept
    assert stored == [(kept,)]


@pytest.mark.parametrize(
    ("scope", "asked", "granted"),
    [
        (
            "repository:demo/secret:pull,push,delete+registry:catalog:*",
            "repository:demo/secret:pull,push,delete registry:catalog:*",
            "",
        ),
        ("repository:team/app:*", "repository:team/app:*", "repository:team/app:pull,push,delete"),
        (
            "repository:team/base:push,pull+repository:team/app:pull",
            "repository:team/base:pull,push repository:team/app:pull",
            "repository:team/base:pull repository:team/app:pull",
        ),
    ],
)
async def test_what_was_asked_for_beyond_what_was_granted_is_on_record_i11(
    server: TokenServing, scope: str, asked: str, granted: str
) -> None:
    """Who tries what they may not, and gets a token for less or nothing, is seen."""
    after = await _after(server, scope)

    assert (after["asked"], after["scope"]) == (asked, granted)


@pytest.mark.parametrize("scope", ["", "repository:team/app:push,pull", "nonsense"])
async def test_what_was_granted_as_asked_is_told_once(server: TokenServing, scope: str) -> None:
    assert "asked" not in await _after(server, scope)


async def test_what_was_asked_for_is_told_up_to_a_length(server: TokenServing) -> None:
    scope = "+".join(f"repository:{name * 70}/app:pull" for name in "abcdefghijklmnopqrstuvwxyz")

    asked = (await _after(server, scope))["asked"]

    assert len(asked) == 1024
    assert asked.startswith(f"repository:{'a' * 70}/app:pull ")
