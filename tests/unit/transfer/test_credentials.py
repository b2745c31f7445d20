"""Logins come from where docker and podman leave them, and are never shown."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from entrepot.transfer.errors import SourceUnusableError
from entrepot.transfer.remote.credentials import Credentials, find_credentials, read_login_file

if TYPE_CHECKING:
    from pathlib import Path

AUTH = base64.b64encode(b"ann:pass:word").decode()


def write(path: Path, **members: object) -> Path:
    """Write a login file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(members))
    return path


@pytest.mark.parametrize("key", ["r.example:5000", "https://r.example:5000", "https://r.example:5000/v1/"])
def test_a_login_is_found_under_each_spelling_of_its_host(tmp_path: Path, key: str) -> None:
    """A password may hold a colon."""
    file = write(tmp_path / "config.json", auths={key: {"auth": AUTH}})

    assert read_login_file(file, "r.example:5000") == Credentials("ann", "pass:word")
    assert read_login_file(file, "other.example") is None


def test_a_login_kept_by_a_program_is_an_error_that_says_so(tmp_path: Path) -> None:
    """Helpers are not run."""
    file = write(tmp_path / "config.json", credHelpers={"r.example": "ecr"})

    with pytest.raises(SourceUnusableError, match="docker-credential-ecr"):
        read_login_file(file, "r.example")


def test_the_login_is_looked_for_where_podman_looks_first(tmp_path: Path) -> None:
    """REGISTRY_AUTH_FILE comes before docker's own file; without any there is no login."""
    first = write(tmp_path / "auth.json", auths={"r.example": {"auth": AUTH}})
    other = base64.b64encode(b"bob:x").decode()
    write(tmp_path / ".docker" / "config.json", auths={"r.example": {"auth": other}})
    environment = {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(first)}

    found = find_credentials("r.example", None, None, None, environment)
    docker = find_credentials("r.example", None, None, None, {"HOME": str(tmp_path)})

    assert (found, docker) == (Credentials("ann", "pass:word"), Credentials("bob", "x"))
    assert find_credentials("r.example", None, None, None, {}) is None


def test_a_name_and_a_password_belong_together(tmp_path: Path) -> None:
    """One without the other is refused; both win over every file."""
    file = tmp_path / "password"
    file.write_text("secret\n")

    assert find_credentials("r.example", "ann", file, None, {}) == Credentials("ann", "secret")
    with pytest.raises(SourceUnusableError, match="belong together"):
        find_credentials("r.example", "ann", None, None, {})


def test_s27_a_password_is_not_shown() -> None:
    """Neither the password nor a refresh token is in the text of the value."""
    assert "canary" not in repr(Credentials("ann", "canary", "canary"))
