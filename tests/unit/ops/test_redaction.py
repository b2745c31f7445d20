"""What the redaction of a support bundle takes out, and what it leaves."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from entrepot.kernel.secret_forms import new_secret_of
from entrepot.ops import support_bundle
from entrepot.ops.support.known_secrets import known_secrets, secrets_in_directory
from entrepot.ops.support.redaction import Redactor
from entrepot.settings import setting_fields
from entrepot.settings.secret import MASK

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "cAnArY/9+x=Zz"
_SHA = "sha256:" + "a" * 64


@pytest.mark.parametrize("before", ["users_", "a-", "%2F", "access_ers_", "token_", "x."])
def test_s27_nothing_before_a_secret_shields_it(before: str) -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4"
    for secret in (new_secret_of("ept_"), token):
        cleaned = Redactor([]).clean_text(f"there is no {before}{secret}")

        assert not any(secret[at : at + 8] in cleaned for at in range(4, len(secret) - 8))


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        f"the password is {CANARY}, or not",
        "cAnArY%2F9%2Bx%3DZz",
        json.dumps({"a": f"x{CANARY}y"}),
        base64.b64encode(CANARY.encode()).decode(),
    ],
)
def test_s27_a_known_secret_is_found_in_every_form(text: str) -> None:
    cleaned = Redactor([CANARY]).clean_text(text)

    assert CANARY not in cleaned
    assert "********" in cleaned or "…" in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "connect to postgresql://ann:CANARY@db:5432/e failed",
        "connect to postgresql://ann:sla/sh?CANARY@db:5432/e failed",
        "GET https://ann:CANARY@mirror.example.com/v2/",
        "Authorization: Basic YW5uOkNBTkFSWQ-CANARY",
        "authorization=Bearer CANARY.CANARY.CANARY",
        "{'Authorization': 'Bearer CANARY12'}",
        "[(b'authorization', b'Digest CANARY, more=CANARY')]",
        'headers="Cookie: sid=CANARY; other=CANARY"',
        "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu/s3/aws4_request, SignedHeaders=host, Signature=CANARY",
        "https://s3/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=CANARY%2F20&X-Amz-Signature=CANARY&x=1",
        "host=db password=CANARY dbname=e",
        "secret_key = 'CANARY'",
        'AWS_SECRET_ACCESS_KEY="CANARY"',
        "token: CANARY",
        '"identityToken":"CANARY"',
        r"{\"password\": \"CANARY\"}",
        '{"username":"bob","password":"correct CANARY battery"}',
        "password='pa CANARY,CANARY'",
        'password="abc;def&CANARY"',
        r"{\"password\": \"pa \'CANARY\' CANARY\"}",
        r'password="a \"CANARY\" CANARY"',
        'password="CANARY and no end CANARY',
        "denied: ept_0123456789CANARY and ers_CANARY_0123456789, then epr_-CANARY-0123",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.CANARY-signature",
        "-----BEGIN EC PRIVATE KEY-----\nCANARY\nCANARY\n-----END EC PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nCANARY, and no end",
    ],
)
def test_s27_what_looks_like_a_secret_is_masked(text: str) -> None:
    """Without knowing the value: from a client, from a setting of last month, from another program."""
    cleaned = Redactor([]).clean_text(text)

    assert "CANARY" not in cleaned
    assert "********" in cleaned or "…" in cleaned


@pytest.mark.parametrize(
    "text",
    [
        f"GET /v2/team/app/manifests/{_SHA} 200",
        'registry_requests_total{operation="manifest.pull",status="200"} 7.0',
        "postgresql://db.example.com:5432/entrepot can't be reached",
        "2026-11-24T18:00:00.000Z info http request.completed path=/v2/a/b/tags/list address=10.0.0.7",
        '"secret": true, "reloadable": false',
        "basic",
        "author: ann@example.com",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Names, digests, addresses and figures are what a bundle is for."""
    assert Redactor([CANARY]).clean_text(text) == text


def test_s27_values_of_telling_names_are_masked_in_json_lines_which_stay_json() -> None:
    line = {
        "event": "x",
        "headers": [["authorization", "CANARY"], ["accept", "*/*"]],
        "password": "CANARY",
        "n": 1,
    }

    cleaned = Redactor([]).clean_lines(
        json.dumps(line) + "\nnot json, token=CANARY\n{broken CANARY_token=CANARY\n"
    )

    first, second, third = cleaned.splitlines()
    assert json.loads(first) == {
        "event": "x",
        "headers": [["authorization", "********"], ["accept", "*/*"]],
        "password": "********",
        "n": 1,
    }
    assert second == "not json, token=********"
    assert third.endswith("=********")


def test_a_short_secret_is_masked_as_a_word_only() -> None:
    """A password of one letter must not eat every such letter."""
    assert Redactor(["a"]).clean_text("a banana") == "******** banana"


def test_a_secret_that_begins_like_another_is_masked_whole() -> None:
    assert Redactor(["canary", "canary-long"]).clean_text("canary-long") == "********"


@pytest.mark.usefixtures("without_collections")
@pytest.mark.parametrize(
    "text",
    [
        "token" * 4000,
        "a-" * 8000,
        "password=" * 2000,
        "token=" * 8000,
        'token="' * 8000,
        "postgres://" * 8000,
        "eyJ-" * 4000,
        "https://" * 2000,
        "a" * 16000,
    ],
)
def test_a_line_made_to_be_slow_is_not(text: str) -> None:
    """Paths and headers in a log are chosen by clients; none may hold up the operator."""
    began = time.process_time()
    Redactor([CANARY]).clean_lines(text)

    assert time.process_time() - began < 1


def test_every_secret_setting_is_known_by_value_whatever_its_source(tmp_path: Path) -> None:
    """From variables, files named by variables, and the TOML file, even when nothing else of it is right."""
    secrets = [field for field in setting_fields() if field.is_secret]
    by_variable = {field.environment_variable: f"env-{field.key}" for field in secrets}
    (tmp_path / "secret").write_text("from-a-file\n", encoding="utf-8")
    by_file = {f"{secrets[0].environment_variable}_FILE": str(tmp_path / "secret")}
    config = tmp_path / "e.toml"
    config.write_text(
        'nonsense = 1\n[metadata]\nurl = "postgresql://u:p%40ss@h/d"\n[storage.s3]\nsecret_key = "in-toml"\n',
        encoding="utf-8",
    )
    other = {"PGPASSWORD": "of-the-driver", "SSH_AUTH_SOCK": str(tmp_path), "HOME": "/home/nobody/token"}

    found = known_secrets({**by_variable, **by_file, **other}, config)

    assert found == {
        *by_variable.values(),
        *("from-a-file", "postgresql://u:p%40ss@h/d", "p%40ss", "p@ss", "in-toml", "of-the-driver"),
    }


def test_the_value_of_a_telling_variable_that_is_a_path_is_no_secret(tmp_path: Path) -> None:
    """Paths are what a bundle is for; but a key may begin with a slash, too."""
    environment = {"TOKEN_DIRECTORY": str(tmp_path), "AWS_SECRET_ACCESS_KEY": "/aBcD+eF/gHiJkLmN"}

    assert known_secrets(environment, None) == {"/aBcD+eF/gHiJkLmN"}


def test_a_password_of_an_address_that_nobody_can_parse_is_known() -> None:
    found = known_secrets({"ENTREPOT_METADATA_URL": "postgresql://u:pa/ss[@h/d"}, None)

    assert "pa/ss[" in found


def test_s27_what_lies_in_the_directory_of_secrets_is_known(tmp_path: Path) -> None:
    """The master key and the first password; a registry that was never started has neither."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin-password").write_text("first-canary\n", encoding="utf-8")
    (tmp_path / "secrets" / "master.key").write_text("key-canary=\n", encoding="utf-8")

    assert secrets_in_directory(tmp_path) == {"first-canary", "key-canary="}
    assert secrets_in_directory(tmp_path / "absent") == frozenset()


def test_the_readme_of_a_bundle_tells_how_secrets_look_in_it() -> None:
    """Whoever looks for the mask to see what was taken out must not miss those that are masked otherwise."""
    readme = support_bundle._render_readme((), {})
    shown = Redactor(()).clean_text(new_secret_of("ept_"))

    assert f"masked as {MASK}" in readme
    assert re.fullmatch("ept_…[0-9a-f]{16}", shown)
    assert re.search("with 16 digits .*: ept_…[0-9a-f]{16}", readme, re.DOTALL)
