"""S27: no secret of the settings or of a client gets into logs, listings, argv, metrics or a support bundle.

The product runs for real, on PostgreSQL and S3, with a canary in every secret setting the catalogue knows: one that
is added tomorrow is covered without a change here.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from entrepot.settings import setting_fields
from tests.processes.running import read_command_line
from tests.running.entrepot import RunningEntrepot
from tests.running.free_ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.drivers.postgres_server import PostgresServer
    from tests.drivers.s3_server import S3Server

_DATABASE_PASSWORD: Final = "cAnArY+of/the=database"
_CLIENT_PASSWORD: Final = "cAnArY-of-a-client"
_LAYER: Final = bytes(range(256)) * 400
_SECRETS: Final = [field for field in setting_fields() if field.is_secret]


@dataclass(frozen=True, slots=True)
class Exposed:
    """A registry that was used, and everything that left it, by where it was found."""

    environment: Mapping[str, str]
    canaries: frozenset[str]
    outputs: Mapping[str, str]
    log: Path


def _environment(database_url: str, s3: S3Server) -> dict[str, str]:
    """Return a value for every secret setting; those the servers must accept are theirs."""
    with_password = database_url.replace("postgres@", f"postgres:{quote(_DATABASE_PASSWORD, safe='')}@")
    assert with_password != database_url
    accepted = {"metadata.url": with_password, "storage.s3.secret_key": s3.secret_access_key}
    return {
        field.environment_variable: accepted.get(field.key, f"cAnArY-of-{field.key}") for field in _SECRETS
    }


def _secret_values(environment: Mapping[str, str]) -> list[str]:
    return [environment[field.environment_variable] for field in _SECRETS]


def _companions(s3: S3Server) -> dict[str, str]:
    """Return the key ids without which secret keys of object stores are refused; they are no secrets."""
    prefixes = {
        field.key.removesuffix("secret_key") for field in _SECRETS if field.key.endswith(".secret_key")
    }
    return {
        field.environment_variable: s3.access_key_id
        for field in setting_fields()
        if field.key.removesuffix("access_key") in prefixes
    }


@pytest.fixture(scope="module")
def exposed(
    postgres_server: PostgresServer, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Exposed:
    """Run a registry with canaries, use it well and badly, and collect what it and the commands say."""
    directory = tmp_path_factory.mktemp("s27")
    environment = _environment(postgres_server.create_database(), s3_server)
    settings: dict[str, dict[str, Any]] = {
        "log": {"level": "debug"},
        "storage": {"driver": "s3"},
        "storage.s3": {
            "endpoint": s3_server.endpoint_url,
            "bucket": s3_server.bucket,
            "prefix": "s27/",
            "redirect_downloads": True,
        },
        "backup.s3": {"access_key": "backups"},
    }
    companions = _companions(s3_server)
    registry = RunningEntrepot(directory, settings=settings, environment={**environment, **companions})
    with registry:
        signature = _use(registry)
        node = {**environment, **companions, "ENTREPOT_CONFIG": str(directory / "entrepot.toml")}
        outputs = {f"command lines of {pid}": read_command_line(pid) for pid in registry.processes()} | {
            path: registry.get_ops(path)[1].decode() for path in ("/metrics", "/readyz", "/readyz/write")
        }
        outputs |= {"database": asyncio.run(_dump(environment["ENTREPOT_METADATA_URL"]))}
        outputs |= texts_below(registry.data_directory)
        outputs |= _commands(directory, node)
        registry.stop()
    canaries = {*environment.values(), _DATABASE_PASSWORD, quote(_DATABASE_PASSWORD, safe=""), signature}
    canaries |= {_CLIENT_PASSWORD, base64.b64encode(f"ann:{_CLIENT_PASSWORD}".encode()).decode()}
    return Exposed(node, frozenset(canaries), outputs, directory / "log.jsonl")


def texts_below(directory: Path) -> dict[str, str]:
    """Return what lies in files below a directory, but for what a process takes away meanwhile."""
    found: dict[str, str] = {}
    for file in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if file.is_file():
                found[str(file)] = file.read_bytes().decode(errors="replace")
    return found


async def _dump(url: str) -> str:
    """Return every row of every table as text."""
    connection = await asyncpg.connect(url)
    tables = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    rows = [await connection.fetch(f'SELECT to_json(t)::text FROM "{name}" t') for (name,) in tables]
    await connection.close()
    assert len(rows) > 10
    return "\n".join(text for found in rows for (text,) in found)


def _use(registry: RunningEntrepot) -> str:
    """Push and pull with credentials in every place; return the signature of a presigned address."""
    digest = f"sha256:{hashlib.sha256(_LAYER).hexdigest()}"
    with httpx.Client(base_url=registry.url, timeout=30) as client:
        pushed = client.post(f"/v2/s27/app/blobs/uploads/?digest={digest}", content=_LAYER)
        pulled = client.get(f"/v2/s27/app/blobs/{digest}")
        for headers in (
            {"Authorization": httpx.BasicAuth("ann", _CLIENT_PASSWORD)._auth_header},
            {"Authorization": f"Bearer {_CLIENT_PASSWORD}"},
            {"Cookie": f"sid={_CLIENT_PASSWORD}", "X-Registry-Auth": _CLIENT_PASSWORD},
        ):
            client.get("/v2/s27/app/tags/list", headers=headers)
            client.put("/v2/s27/app/manifests/bad", headers=headers, content=b"{")
        client.get(
            f"/v2/s27/app/tags/list?access_token={_CLIENT_PASSWORD}&X-Amz-Signature={_CLIENT_PASSWORD}"
        )
    assert (pushed.status_code, pulled.status_code) == (201, 307)
    signature: str = httpx.URL(pulled.headers["location"]).params["X-Amz-Signature"]
    assert len(signature) == 64
    return signature


def _run(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}
    command = [sys.executable, "-m", "entrepot", *arguments]
    return subprocess.run(
        command, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=120
    )


def _commands(directory: Path, environment: dict[str, str]) -> dict[str, str]:
    """Run the commands that tell of settings, with the settings of the node and with some that can't work."""
    log = directory / "log-with-more.jsonl"
    shutil.copy(directory / "log.jsonl", log)
    with log.open("a", encoding="utf-8") as stream:
        for value in _secret_values(environment):
            stream.write(f"another program wrote: {value}\n{json.dumps({'event': 'x', 'text': value})}\n")
        stream.write(f"Authorization: Bearer {_CLIENT_PASSWORD}\nhttps://ann:{_CLIENT_PASSWORD}@mirror/v2/\n")
    bundle = directory / "bundle.tar.gz"
    runs = {
        "settings show -o json": _run(environment, "settings", "show", "-o", "json"),
        "doctor": _run(environment, "doctor", "-o", "json"),
        "backup create": _run(environment, "backup", "create", "--to", str(directory / "backup")),
        "backup list": _run(environment, "backup", "list", "--from", str(directory / "backup")),
        "support-bundle": _run(environment, "support-bundle", "--log", str(log), "-o", str(bundle)),
        **_failing_runs(directory, environment),
    }
    assert [name for name, ended in runs.items() if ended.returncode != 0 and name[0] != "!"] == []
    said = {name: ended.stdout + ended.stderr for name, ended in runs.items()}
    return said | read_bundle(bundle)


def _failing_runs(
    directory: Path, environment: dict[str, str]
) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run with a database that is away, one whose address can't be read, and a bucket that is not there."""
    away = f"postgresql://ann:{quote(_DATABASE_PASSWORD, safe='')}@127.0.0.1:{find_free_port()}/e"
    unreadable = f"postgresql://ann:{_DATABASE_PASSWORD}@127.0.0.1/e"
    port = find_free_port()
    common = {
        **environment,
        "ENTREPOT_DATA_DIRECTORY": str(directory / "other"),
        "ENTREPOT_HTTP_LISTEN": f"127.0.0.1:{port}",
        "ENTREPOT_OPS_LISTEN": f"127.0.0.1:{find_free_port()}",
    }
    return {
        "! doctor, away": _run({**common, "ENTREPOT_METADATA_URL": away}, "doctor"),
        "! serve, unreadable": _run({**common, "ENTREPOT_METADATA_URL": unreadable}, "serve"),
        "! doctor, no bucket": _run({**common, "ENTREPOT_STORAGE_S3_BUCKET": "not-there"}, "doctor"),
    }


def read_bundle(path: Path) -> dict[str, str]:
    """Return the members by their names below the bundle's directory."""
    members: dict[str, str] = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            assert stream is not None
            members[member.name.partition("/")[2]] = stream.read().decode()
    return members


def test_s27_no_canary_leaves_the_registry(exposed: Exposed) -> None:
    """Logs at level debug, errors, listings, argv, metrics, rows, files, and every member of the bundle: 0 hits."""
    found = {
        (place, canary)
        for place, text in {**exposed.outputs, "log": exposed.log.read_text()}.items()
        for canary in exposed.canaries
        if canary in text
    }

    assert found == set()
    assert len(exposed.canaries) >= len(_SECRETS) + 4


def test_s27_the_canaries_were_really_there(exposed: Exposed) -> None:
    """The search can fail: the log handed to the bundle held them, and the process had them."""
    log = (exposed.log.parent / "log-with-more.jsonl").read_text()

    assert [value for value in _secret_values(exposed.environment) if value not in log] == []
    assert _CLIENT_PASSWORD in log
    assert "another program wrote: ********" in exposed.outputs["log.log"]


def test_the_bundle_tells_what_somebody_needs_who_is_to_help(exposed: Exposed) -> None:
    outputs = exposed.outputs

    processes: list[dict[str, Any]] = json.loads(outputs["processes.json"])
    database: dict[str, Any] = json.loads(outputs["database.json"])
    settings = {row["key"]: row for row in json.loads(outputs["settings.json"])["settings"]}
    assert {"nothing"} == {outputs["README.txt"].split("had:\n")[1].split("\n")[0].strip()}
    roles = ["entrepot-background", "entrepot-http", "entrepot-ops"]
    assert sorted(str(process["Name"]) for process in processes[1:]) == sorted(role[:15] for role in roles)
    assert (database["engine"], database["schema"]["found"]) == ("postgresql", database["schema"]["known"])
    assert {"blobs", "manifests", "outbox", "upload_sessions"} <= set(database["rows"])
    assert settings["metadata.url"]["value"] == "********"
    assert settings["metadata.url"]["origin"]["detail"] == "ENTREPOT_METADATA_URL"
    assert json.loads(outputs["node/readyz/write.json"])["status"] == "ok"
    assert 'registry_requests_total{operation="blob.pull"' in outputs["node/metrics.txt"]
    assert {finding["check"] for finding in json.loads(outputs["doctor.json"])} >= {
        *(
            "clock-skew",
            "durability",
            "journal",
            "node-id",
            "storage-match",
            "blobs",
            "metadata",
            "sync-speed",
        ),
    }
    assert '"event":"request.completed"' in outputs["log.log"]
    assert "asyncpg==" in outputs["packages.txt"]


def test_s27_secrets_in_files_of_their_own_stay_there(exposed: Exposed, tmp_path: Path) -> None:
    """`*_FILE` for every secret setting; and settings that can't be used still make a bundle, without them."""
    secret = {field.environment_variable for field in _SECRETS}
    environment = {name: value for name, value in exposed.environment.items() if name not in secret}
    for field in _SECRETS:
        file = tmp_path / field.key
        file.write_text(exposed.environment[field.environment_variable] + "\n", encoding="utf-8")
        file.chmod(0o600)
        environment[f"{field.environment_variable}_FILE"] = str(file)
    log = tmp_path / "log"
    log.write_text("\n".join(_secret_values(exposed.environment)), encoding="utf-8")

    shown = _run(environment, "settings", "show", "-o", "json")
    broken = _run(
        {**environment, "ENTREPOT_LOG_LEVEL": "loud"},
        *("support-bundle", "--log", str(log), "-o", str(tmp_path / "b.tar.gz")),
    )

    members = read_bundle(tmp_path / "b.tar.gz")
    texts = [shown.stdout + shown.stderr, broken.stdout + broken.stderr, *members.values()]
    assert [canary for canary in exposed.canaries if any(canary in text for text in texts)] == []
    assert (shown.returncode, broken.returncode) == (0, 0)
    assert "log.level" in members["settings.json"]
    assert members["log.log"].count("********") >= len(_SECRETS)
