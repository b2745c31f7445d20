"""As whom the benchmark asks: every client has a token of its own, and the peer believes those that are made for it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from bench.clients import NOBODY, write_authorizations
from bench.robots import token_path
from bench.signed_clients import SignedClients, libtrust_key_id
from bench.small_requests import render_script

if TYPE_CHECKING:
    from pathlib import Path


def _parts(authorization: str) -> tuple[dict[str, object], dict[str, object]]:
    scheme, _, token = authorization.partition(" ")
    assert scheme == "Bearer"
    header, claims, _ = token.split(".")

    def read(text: str) -> dict[str, object]:
        decoded: dict[str, object] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return decoded

    return read(header), read(claims)


def test_every_client_of_the_peer_has_a_token_of_its_own_for_what_ours_are_for(tmp_path: Path) -> None:
    """500 tokens, no two of one client, each for pulls and pushes of the three repositories."""
    clients = SignedClients.make(tmp_path / "tokens")

    read = [_parts(value) for value in clients.authorizations()]

    assert len({str(claims["sub"]) for _, claims in read}) == 500
    assert {str(header["kid"]) for header, _ in read} == {libtrust_key_id(clients.key.read_bytes())}
    assert read[0][1]["access"] == [
        {"type": "repository", "name": name, "actions": ["pull", "push"]}
        for name in ("bench/blobs", "bench/image", "bench/manifests")
    ]


def test_a_key_is_named_as_the_peer_names_it(tmp_path: Path) -> None:
    """Twelve groups of four in base 32; the same key has the same name."""
    key = SignedClients.make(tmp_path / "tokens").key.read_bytes()

    name = libtrust_key_id(key)

    assert [len(group) for group in name.split(":")] == [4] * 12
    assert libtrust_key_id(key) == name


def test_our_tokens_are_asked_for_with_the_same_three_scopes() -> None:
    """Each as a field of its own, as Docker asks."""
    assert token_path() == (
        "/service/token?service=entrepot&scope=repository%3Abench%2Fblobs%3Apull%2Cpush"
        "&scope=repository%3Abench%2Fimage%3Apull%2Cpush&scope=repository%3Abench%2Fmanifests%3Apull%2Cpush"
    )


@pytest.mark.parametrize(("values", "text"), [(["Bearer a", "Bearer b"], "Bearer a\nBearer b\n"), ((), "")])
def test_what_clients_prove_who_they_are_with_is_for_their_owner_only(
    tmp_path: Path, values: list[str], text: str
) -> None:
    file = write_authorizations(values, tmp_path / "authorizations")

    assert (file.read_text(), file.stat().st_mode & 0o777) == (text, 0o600)


def test_nobody_presents_nothing() -> None:
    assert NOBODY.authorizations() == ()


def test_the_script_takes_the_next_client_for_each_request(tmp_path: Path) -> None:
    """Request k goes out as client k modulo their number, beginning with the first."""
    script = render_script(tmp_path / "paths", tmp_path / "authorizations")

    assert f'io.lines("{tmp_path}/authorizations")' in script
    assert 'headers["Authorization"] = clients[#requests % #clients + 1]' in script
