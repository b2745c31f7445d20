"""S27 with accounts: no password, no secret of a robot, no token and no master key leaves the registry."""

from __future__ import annotations

import base64
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from entrepot.auth.generated_secrets import new_secret
from tests.integration.test_commands import run
from tests.integration.test_support_bundle import read_bundle, texts_below
from tests.processes.running import read_command_line
from tests.running.control_client import Account, ControlClient
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEW_PASSWORD: Final = "cAnArY+Orchard+58"
_WRONG_PASSWORD: Final = "cAnArY-wrong-77"
_UNKNOWN_TOKEN: Final = new_secret("ept_")


@dataclass(frozen=True, slots=True)
class _Spoken:
    """What clients and the first start have in secret, and all that left the registry, by where it was found."""

    secrets: Mapping[str, str]
    outputs: Mapping[str, str]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> _Spoken:
    """Start with accounts and a random first password, log in well and badly, and collect what is said."""
    directory = tmp_path_factory.mktemp("s27-accounts")
    registry = RunningEntrepot(directory, settings={"access": {"accounts": True}, "log": {"level": "debug"}})
    with registry:
        kept = registry.data_directory / "secrets"
        secrets = {
            "first password": (kept / "admin-password").read_text().strip(),
            "master key": (kept / "master.key").read_text().strip(),
            "new password": _NEW_PASSWORD,
            "wrong password": _WRONG_PASSWORD,
            "unknown token": _UNKNOWN_TOKEN,
        }
        secrets |= _use(registry, secrets["first password"])
        secrets |= {f"{name}, as sent": _basic(secret) for name, secret in secrets.items()}
        outputs = _collect(registry, directory, secrets)
        registry.stop()
    return _Spoken(secrets, outputs | {"log": (directory / "log.jsonl").read_text()})


def _basic(secret: str) -> str:
    return base64.b64encode(f"admin:{secret}".encode()).decode()


def _use(registry: RunningEntrepot, first: str) -> dict[str, str]:
    """Change the password, make a project and a robot, get tokens, and try what fails; return what was issued."""
    changed = {"old_password": first, "new_password": _NEW_PASSWORD}
    ControlClient(registry.host, Account("admin", first)).call("PUT", "/users/1/password", changed)
    admin = ControlClient(registry.host, Account("admin", _NEW_PASSWORD))
    admin.call("POST", "/projects", {"project_name": "team"}, status=201)
    robot = admin.call("POST", "/robots", _robot(), status=201).document
    query = "service=entrepot&scope=repository:team/app:pull&offline_token=true&account=admin"
    with httpx.Client(base_url=registry.url, timeout=30) as client:
        issued = client.get(f"/service/token?{query}", auth=("admin", _NEW_PASSWORD)).json()
        headers = {"Authorization": f"Bearer {issued['token']}"}
        statuses = [
            client.get("/v2/", headers=headers).status_code,
            client.get("/v2/", auth=(robot["name"], robot["secret"])).status_code,
            client.get("/v2/", auth=("admin", _WRONG_PASSWORD)).status_code,
            client.get("/v2/", auth=("admin", _UNKNOWN_TOKEN)).status_code,
            client.get(f"/service/token?{query}", auth=("admin", first)).status_code,
            client.get(f"/v2/team/app/tags/list?access_token={issued['token']}").status_code,
            client.post("/service/token", data={"refresh_token": _UNKNOWN_TOKEN}).status_code,
        ]
        typed = {"username": robot["secret"], "password": "x"}
        in_place_of_names = [
            client.get("/service/token", auth=(_NEW_PASSWORD, "x")).status_code,
            client.get("/v2/", auth=(robot["secret"], "x")).status_code,
            client.get("/v2/", auth=(_UNKNOWN_TOKEN, _UNKNOWN_TOKEN)).status_code,
            client.post("/api/v2.0/sessions", json=typed).status_code,
            client.post("/c/login", data={"principal": _NEW_PASSWORD, "password": "x"}).status_code,
        ]
        client.put("/v2/team/app/manifests/bad", auth=("admin", _NEW_PASSWORD), content=b"{")
    pasted = _paste(registry, [robot["secret"], issued["token"], issued["refresh_token"], _UNKNOWN_TOKEN])
    assert statuses == [200, 200, 401, 401, 401, 401, 400]
    assert in_place_of_names == [401] * 5
    return {
        "robot": robot["secret"],
        "token": issued["token"],
        "signature": issued["token"].rpartition(".")[2],
        "refresh token": issued["refresh_token"],
        "pasted token": pasted,
    }


def _paste(registry: RunningEntrepot, secrets: list[str]) -> str:
    """Send secrets where ids and names belong, with logins that succeed; return the token that did so, too.

    Its first use at each entrance is a login, whose record has the path.
    """
    admin = ControlClient(registry.host, Account("admin", _NEW_PASSWORD))
    asked = {"name": "deploy", "expires_in_days": 30}
    token: str = admin.call("POST", "/access-tokens", asked, status=201).document["secret"]
    with httpx.Client(base_url=registry.url, timeout=30) as client:
        for secret in (token, *secrets):
            paths = [f"/api/v2.0/access-tokens/{secret}", f"/v2/{secret}/tags/list"]
            paths += [f"/service/token/{secret}", f"/v2/team/app/manifests/{secret}"]
            paths += [f"/v2/_catalog?n=1&last={secret}", f"/{secret}"]
            headers = {"User-Agent": f"{'x' * 230} {secret}", "X-Request-Id": secret[:128]}
            for method in ("DELETE", "GET"):
                for path in paths:
                    client.request(method, path, auth=("admin", token), headers=headers)
            typed = {"username": "admin", "password": _NEW_PASSWORD}
            session = client.post("/api/v2.0/sessions", json=typed, headers=headers)
            cookie = session.headers["set-cookie"].partition(";")[0]
            client.get(f"/api/v2.0/projects/{cookie.partition('=')[2]}", headers={"Cookie": cookie})
    return token


def _robot() -> dict[str, object]:
    access = [{"resource": "repository", "action": "pull"}]
    permissions = [{"kind": "project", "namespace": "team", "access": access}]
    return {"name": "ci", "level": "system", "duration": 30, "permissions": permissions}


def _collect(registry: RunningEntrepot, directory: Path, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return files, rows, command lines, metrics and what commands say; a log with the secrets goes into the bundle."""
    log = directory / "log-with-more.jsonl"
    shutil.copy(directory / "log.jsonl", log)
    with log.open("a", encoding="utf-8") as stream:
        stream.writelines(
            f"another program wrote: {secrets[name]}\n"
            for name in ("master key", "unknown token", "robot", "token", "refresh token")
        )
    config, bundle = str(directory / "entrepot.toml"), directory / "bundle.tar.gz"
    commands = {
        "settings": ("settings", "show", "-o", "json"),
        "doctor": ("doctor", "-o", "json"),
        "keys": ("keys", "list"),
        "administrators": ("admin", "list"),
        "audit": ("audit", "show", "--limit", "1000"),
        "bundle": ("support-bundle", "--log", str(log), "-o", str(bundle)),
    }
    ended = {name: run(directory, *words, "--config", config) for name, words in commands.items()}
    assert {name: result.returncode for name, result in ended.items()} == dict.fromkeys(commands, 0)
    outputs = {name: result.stdout + result.stderr for name, result in ended.items()}
    outputs |= {f"argv of {pid}": read_command_line(pid) for pid in registry.processes()}
    outputs |= {path: registry.get_ops(path)[1].decode() for path in ("/metrics", "/readyz")}
    files = texts_below(registry.data_directory)
    outputs |= {file: text for file, text in files.items() if Path(file).parent.name != "secrets"}
    outputs |= {f"bundle {name}": text for name, text in read_bundle(bundle).items()}
    database = registry.data_directory / "metadata" / "entrepot.db"
    with closing(sqlite3.connect(database)) as connection:
        return outputs | {"rows": "\n".join(connection.iterdump())}


def test_s27_no_secret_of_an_account_leaves_the_registry(spoken: _Spoken) -> None:
    """Logs at level debug, the audit log, rows, files, metrics, command lines, listings, the support bundle: 0 hits."""
    found = {
        (place, name)
        for place, text in spoken.outputs.items()
        for name, secret in spoken.secrets.items()
        if secret in text
    }

    assert found == set()
    assert len(spoken.secrets) == 20


def test_s27_the_secrets_were_really_there(spoken: _Spoken) -> None:
    """The search can fail: the log that was handed to the bundle held them, and the bundle has them masked."""
    masked = re.findall(
        r"^another program wrote: (?:\*{8}|(?:e[prs][rst]_|eyJ)…[0-9a-f]{16})$",
        spoken.outputs["bundle log.log"],
        re.MULTILINE,
    )
    assert len(masked) == 5
    assert [name for name in spoken.outputs if name.startswith("bundle ") and "secret" in name] == []
    assert '"event":"request.completed"' in spoken.outputs["log"]
    assert "user.password.change" in spoken.outputs["audit"]
    assert spoken.outputs["audit"].count("unknown name ") >= 5
