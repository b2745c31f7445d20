"""Docker leaves a refresh token in its file, which podman's kind reads and refuses, as docs/how-to/accounts.md says."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.running.with_accounts import ADMINISTRATOR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.running.with_accounts import EntrepotWithAccounts

pytestmark = pytest.mark.real_client


def _log_in(program: str, host: str, home: Path, more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Log in as somebody does who has just the home directory that docker has."""
    command = (program, "login", "--tls-verify=false", "-u", ADMINISTRATOR.name, "--password-stdin", host)
    return subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **more},
        input=ADMINISTRATOR.secret,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("program", ["podman", "skopeo", "buildah"])
def test_beside_dockers_login_the_others_need_a_file_of_their_own(
    registry: EntrepotWithAccounts, tmp_path: Path, program: str
) -> None:
    """With the very file that docker writes: its login is the refresh token that the registry gave."""
    query = {"service": "entrepot", "offline_token": "true"}
    account = (ADMINISTRATOR.name, ADMINISTRATOR.secret)
    reply = httpx.get(f"{registry.url}/service/token", params=query, auth=account, timeout=30)
    docker = {"auth": "YWRtaW46", "identitytoken": reply.json()["refresh_token"]}
    file = tmp_path / ".docker" / "config.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"auths": {registry.host: docker}}))

    refused = _log_in(program, registry.host, tmp_path, {})
    let_in = _log_in(program, registry.host, tmp_path, {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")})

    assert refused.returncode != 0
    assert "currently logged in, auth file contains an Identity token" in refused.stderr
    assert let_in.returncode == 0, let_in.stderr
    assert json.loads(file.read_text())["auths"][registry.host] == docker
