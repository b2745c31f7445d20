"""Bearer tokens as a client gets them: the challenge is read, and its realm asked, with one account's credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.running.authorising import parse_challenge

if TYPE_CHECKING:
    from tests.running.control_client import Account

__all__ = ["ask_for_token", "bearer_client", "read_challenge"]


def read_challenge(client: httpx.Client) -> tuple[str, str]:
    """Return realm and service of the challenge that nobody gets (T1)."""
    challenge = parse_challenge(client.get("/v2/"))
    return challenge["realm"], challenge["service"]


def ask_for_token(url: str, account: Account | None, scope: str) -> httpx.Response:
    """Ask for a token for one scope, as an account or as nobody, and return the answer."""
    with httpx.Client(base_url=url, timeout=30) as client:
        realm, service = read_challenge(client)
        credentials = None if account is None else (account.name, account.secret)
        parameters = {"service": service, "scope": scope}
        return client.get(realm, params=parameters, auth=credentials)


def bearer_client(url: str, account: Account, repository: str, actions: str) -> httpx.Client:
    """Return a client that presents a token of that account for that repository, to be closed by the caller."""
    response = ask_for_token(url, account, f"repository:{repository}:{actions}")
    assert response.status_code == 200, response.text
    return httpx.Client(
        base_url=url, timeout=30, headers={"Authorization": f"Bearer {response.json()['token']}"}
    )
