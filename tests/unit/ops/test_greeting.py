"""What `entrepot serve` says to a person, with accounts and without."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import msgspec
import pytest

from entrepot.ops import greeting
from entrepot.ops.greeting import render_greeting, render_next_steps, render_warnings
from entrepot.settings import (
    AccessSettings,
    DataSettings,
    HttpSettings,
    MetadataSettings,
    S3Settings,
    Secret,
    Settings,
    StorageSettings,
)

_PLAIN = Settings(data=DataSettings(directory=Path("/data")), access=AccessSettings(accounts=False))
_PUSH = [
    "The first push (docker pull hello-world, if you have it not):",
    "  docker tag hello-world 127.0.0.1:5000/demo/hello-world",
    "  docker push 127.0.0.1:5000/demo/hello-world",
    "  docker pull 127.0.0.1:5000/demo/hello-world",
]


@pytest.fixture(autouse=True)
def program_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the program found by its name, wherever these tests are run from."""
    monkeypatch.setattr(greeting, "which", "/usr/bin/{}".format)


def _with_accounts(directory: Path) -> Settings:
    return Settings(data=DataSettings(directory=directory), access=AccessSettings(accounts=True))


def test_the_greeting_shows_where_data_lies() -> None:
    assert render_greeting(_PLAIN).splitlines()[1:] == [
        "  data      /data",
        "  metadata  /data/metadata/entrepot.db",
        "  blobs     /data/storage",
        "  clients   http://127.0.0.1:5000",
        "  health    http://127.0.0.1:5080/readyz",
    ]


def test_s27_the_greeting_of_a_cluster_node_shows_no_secret() -> None:
    settings = msgspec.structs.replace(
        _PLAIN,
        http=HttpSettings(listen="0.0.0.0:5000", external_url="https://registry.example"),
        metadata=MetadataSettings(url=Secret("postgresql://u:canary@db/e")),
        storage=StorageSettings(driver="s3", s3=S3Settings(bucket="blobs", secret_key=Secret("canary"))),
    )

    text = render_greeting(settings) + "\n" + render_next_steps(settings)

    assert "canary" not in text
    assert "  metadata  PostgreSQL\n  blobs     s3 bucket blobs\n" in text
    assert "docker pull registry.example/demo/hello-world\n" in text


def test_without_accounts_three_lines_lead_to_the_first_push_and_one_to_accounts() -> None:
    assert render_next_steps(_PLAIN).splitlines() == [
        *_PUSH,
        (
            "There are no accounts: clients on this machine only may push and pull. access.accounts = true turns "
            "them on."
        ),
    ]


def test_s17_s27_the_first_password_is_said_to_be_in_its_file_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin-password").write_text("canary-password\n")

    text = render_next_steps(_with_accounts(tmp_path))

    assert "canary" not in text
    assert text.splitlines()[0].endswith(f" {tmp_path}/secrets/admin-password")
    assert f"-u admin --password-file {tmp_path}/secrets/admin-password\n" in text
    assert text.splitlines()[-4:] == _PUSH


def test_once_the_first_password_is_changed_only_login_project_and_push_are_shown(tmp_path: Path) -> None:
    assert render_next_steps(_with_accounts(tmp_path)).splitlines() == [
        "Log in, and make a project to push to:",
        "  entrepot login http://127.0.0.1:5000 -u admin",
        "  entrepot project create demo",
        "  docker login 127.0.0.1:5000 -u admin",
        *_PUSH,
    ]


def test_what_is_to_be_typed_is_a_script_whatever_the_directory_is_called(tmp_path: Path) -> None:
    """A shell reads it as it stands, and hands on the file of the first password as one word."""
    directory = tmp_path / "it's data"
    (directory / "secrets").mkdir(parents=True)
    (directory / "secrets" / "admin-password").write_text("first\n")

    typed = [
        line for line in render_next_steps(_with_accounts(directory)).splitlines() if line.startswith("  ")
    ]

    assert [shlex.split(line) for line in typed[:3]] == [
        [
            *("entrepot", "login", "http://127.0.0.1:5000", "-u", "admin"),
            *("--password-file", f"{directory}/secrets/admin-password"),
        ],
        ["entrepot", "project", "create", "demo"],
        ["docker", "login", "127.0.0.1:5000", "-u", "admin"],
    ]


@pytest.mark.parametrize(
    ("external_url", "expected"),
    [
        ("https://registry.example", "https://registry.example"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("http://registry.example", "http://registry.example --plain-http"),
        ("http://192.0.2.7:5000", "http://192.0.2.7:5000 --plain-http"),
    ],
)
def test_what_is_to_be_typed_reaches_the_registry(tmp_path: Path, external_url: str, expected: str) -> None:
    """Without TLS a password travels only to this machine, unless one says that it may."""
    settings = msgspec.structs.replace(
        _with_accounts(tmp_path), http=HttpSettings(listen="0.0.0.0:5000", external_url=external_url)
    )

    assert f"  entrepot login {expected} -u admin" in render_next_steps(settings).splitlines()


def test_a_program_that_no_path_leads_to_is_shown_with_the_way_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greeting, "which", dict[str, str]().get)
    monkeypatch.setattr(sys, "executable", "/srv/the registry/.venv/bin/python")

    text = render_next_steps(_with_accounts(tmp_path))

    assert "  '/srv/the registry/.venv/bin/entrepot' project create demo\n" in text


@pytest.mark.parametrize(
    ("anonymous", "listen", "expected"),
    [
        (False, "0.0.0.0:5000", ""),
        (True, "0.0.0.0:5000", "everybody who can reach 0.0.0.0:5000"),
        (True, "127.0.0.1:5000", "everybody on this machine"),
    ],
)
def test_anonymous_access_is_warned_of(anonymous: bool, listen: str, expected: str) -> None:
    settings = msgspec.structs.replace(
        _PLAIN,
        http=HttpSettings(listen=listen),
        access=AccessSettings(accounts=False, insecure_anonymous=anonymous),
    )

    text = "\n".join(render_warnings(settings))

    assert (text != "") == anonymous
    assert expected in text
    assert ("accounts are off" in text) == anonymous
