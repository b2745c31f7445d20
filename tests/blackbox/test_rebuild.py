"""The drill: a registry loses its database, is rebuilt from its storage, and no client notices a difference."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from entrepot.processes.errors import ExitCode
from tests.blackbox.http_client import RegistryClient
from tests.blackbox.material.images import IMAGE_MANIFEST, build_index, digest_of, to_json
from tests.blackbox.material.layouts import read_layout
from tests.processes.running import ROOT
from tests.running.entrepot import RunningEntrepot
from tests.running.setups import Setup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.blackbox.clients.program import Program
    from tests.blackbox.conftest import Material
    from tests.drivers.postgres_server import PostgresServer
    from tests.drivers.s3_server import S3Server

_NAME: Final = "drill/image"
_COPY: Final = "copies/image"
_SBOM: Final = "application/vnd.tests.sbom"


class Drill:
    """One registry, and the clients that push to it before it loses its database and pull from it afterwards."""

    def __init__(self, registry: RunningEntrepot, skopeo: Program, oras: Program, podman: Program) -> None:
        self.registry = registry
        self._skopeo, self._oras, self._podman = skopeo, oras, podman
        self.sha512_manifest = b""

    def push(self, material: Material, directory: Path) -> None:
        """Push an index, an artifact attached to it, a copy whose blobs are mounted, and what is deleted again."""
        name = f"{self.registry.host}/{_NAME}"
        source = f"oci:{material.small_layout}:multi"
        remote = f"docker://{name}:multi"
        self._skopeo.run("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", source, remote)
        (directory / "sbom").write_text("all that is in it")
        self._oras.run(
            "attach", "--plain-http", "--disable-path-validation", "--artifact-type", _SBOM, f"{name}:multi",
            f"{directory}/sbom:application/json",
        )  # fmt: skip
        copy = f"{self.registry.host}/{_COPY}:1"
        self._oras.run("copy", "--from-plain-http", "--to-plain-http", f"{name}:multi", copy)
        self._oras.run("tag", "--plain-http", f"{name}:multi", "deleted")
        with self.http() as http:
            assert http.request("DELETE", "manifests/deleted").status_code == 202
            self._push_sha512(http)

    def _push_sha512(self, http: RegistryClient) -> None:
        config = b"{}"
        layer = f"sha512:{hashlib.sha512(config).hexdigest()}"
        response = http.finish(http.begin(), layer, config)
        assert response.status_code == 201, response.text
        described = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": layer, "size": len(config)}
        self.sha512_manifest = to_json(
            {"schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": described, "layers": []}
        )
        assert http.put_manifest(self._sha512(), self.sha512_manifest).status_code == 201

    def _sha512(self) -> str:
        return f"sha512:{hashlib.sha512(self.sha512_manifest).hexdigest()}"

    def check(self, material: Material, directory: Path) -> None:
        """Pull all of it with the clients that pushed it and one that did not, and compare every digest."""
        name = f"{self.registry.host}/{_NAME}"
        self._skopeo.run(
            "copy", "--all", "--preserve-digests", "--src-tls-verify=false",
            f"docker://{name}:multi", f"oci:{directory}/out:multi",
        )  # fmt: skip
        assert read_layout(directory / "out") == read_layout(material.small_layout)
        found = json.loads(
            self._oras.run(
                "discover", "--plain-http", "--distribution-spec", "v1.1-referrers-api", "--format", "json",
                f"{name}:multi",
            )
        )["manifests"]  # fmt: skip
        assert [entry["artifactType"] for entry in found] == [_SBOM]
        for image in material.small:
            self._pull_with_podman(image.architecture, image.config_digest)
        with self.http() as http:
            assert http.request("GET", "tags/list").json()["tags"] == ["multi"]
            assert http.get_manifest("deleted").status_code == 404
            assert http.get_manifest(self._sha512()).content == self.sha512_manifest

    def _pull_with_podman(self, architecture: str, config_digest: str) -> None:
        copy = f"{self.registry.host}/{_COPY}:1"
        pulled = self._podman.run("pull", "--quiet", "--tls-verify=false", "--arch", architecture, copy)
        assert f"sha256:{pulled.strip()}" == config_digest
        self._podman.run("rmi", "--force", copy)

    def push_more(self, material: Material) -> None:
        """Push a tag that was not there before."""
        more = f"docker://{self.registry.host}/{_NAME}:more"
        self._skopeo.run(
            "copy", "--all", "--dest-tls-verify=false", f"oci:{material.small_layout}:multi", more
        )
        with self.http() as http:
            assert http.get_manifest("more").headers["docker-content-digest"] == digest_of(
                build_index(material.small)
            )

    def http(self) -> _Client:
        """Speak plain HTTP to the repository."""
        return _Client(self.registry)


class _Client:
    """A plain client as a context manager."""

    def __init__(self, registry: RunningEntrepot) -> None:
        self._client = httpx.Client(base_url=registry.url, timeout=30)

    def __enter__(self) -> RegistryClient:
        return RegistryClient(self._client, _NAME)

    def __exit__(self, *_: object) -> None:
        self._client.close()


def rebuild(registry: RunningEntrepot, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the command on a registry's settings, as an operator does; return exit code and result."""
    registry.write_settings()
    command = [
        sys.executable,
        "-m",
        "entrepot",
        "rebuild",
        "--config",
        str(registry._settings_file),
        "-o",
        "json",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ENTREPOT_")}
    ended = subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
        timeout=100,
    )
    assert ended.stdout, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


@pytest.fixture(params=[Setup.SQLITE_FILESYSTEM, Setup.POSTGRESQL_S3], ids=str)
def drill(
    request: pytest.FixtureRequest, tmp_path: Path, skopeo: Program, oras: Program, podman: Program
) -> Iterator[Drill]:
    """Run a registry of its own with each engine and each store."""
    settings: dict[str, dict[str, Any]] = {}
    if request.param is Setup.POSTGRESQL_S3:
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        s3: S3Server = request.getfixturevalue("s3_server")
        settings["metadata"] = {"url": postgres.create_database()}
        settings["storage"] = {"driver": "s3"}
        settings["storage.s3"] = {
            "endpoint": s3.endpoint_url,
            "bucket": s3.bucket,
            "prefix": "rebuild-drill/",
            "access_key": s3.access_key_id,
            "secret_key": s3.secret_access_key,
        }
    running = RunningEntrepot(tmp_path / "registry", settings=settings)
    running.start()
    try:
        running.wait_until_ready()
        yield Drill(running, skopeo, oras, podman)
    finally:
        running.end()


def _lose_database(registry: RunningEntrepot, request: pytest.FixtureRequest) -> None:
    """Kill the registry, and take its database away for good."""
    registry.end()
    if "metadata" in registry.settings:
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        registry.settings["metadata"]["url"] = postgres.create_database()
    else:
        shutil.rmtree(registry.data_directory / "metadata")


def test_i1_clients_find_everything_after_the_database_was_lost_and_rebuilt(
    drill: Drill, material: Material, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Index, referrer, mounted copy and sha512 image are pulled byte by byte; the deleted tag stays deleted (I1, I5).

    Then pushes work, the journal goes on, and the sweep of orphans sees nothing that speaks against its work.
    """
    drill.push(material, tmp_path)
    _lose_database(drill.registry, request)

    code, report = rebuild(drill.registry)

    assert (code, report["losses"], report["leftovers"]["blobs"]) == (0, [], 0)
    if "metadata" in drill.registry.settings:
        _check_other_engine(drill.registry, tmp_path, report)
    from_byte = drill.registry.log_size()
    drill.registry.start()
    drill.registry.wait_until_ready()
    drill.check(material, tmp_path)
    drill.push_more(material)
    assert drill.registry.get_ops("/readyz/write")[0] == 200
    drill.registry.wait_for_event("sweep.finished")
    seen = {line["event"] for line in drill.registry.log_lines(from_byte)}
    assert not seen & {"sweep.refused", "database.mismatch", "duty.failed"}
    code, again = rebuild(drill.registry, "--dry-run")
    assert (code, again["totals"]["tags"]) == (0, report["totals"]["tags"] + 1)


def test_a_registry_does_not_start_on_half_a_rebuild(tmp_path: Path) -> None:
    """It ends with an exit code of its own, after which no service manager starts it again, and says what to run."""
    registry = RunningEntrepot(tmp_path / "registry")
    with registry:
        registry.stop()
    with closing(sqlite3.connect(registry.data_directory / "metadata" / "entrepot.db")) as database:
        database.execute("INSERT INTO sweeps (name, progress, fence, due_at) VALUES ('rebuild', '{}', 0, 0)")
        database.commit()

    registry.start()

    assert registry.wait_exit(30) == ExitCode.REBUILD_UNFINISHED
    assert "run entrepot rebuild again" in registry.wait_for_event("process.refused")["reason"]


def _check_other_engine(registry: RunningEntrepot, directory: Path, expected: dict[str, Any]) -> None:
    """From the same bucket a SQLite file is made that holds the same."""
    settings = {key: value for key, value in registry.settings.items() if key.startswith("storage")}
    other = RunningEntrepot(directory / "other", settings=settings)

    code, report = rebuild(other)

    assert (code, report["totals"]) == (0, expected["totals"])
    assert report["incarnation"] == expected["incarnation"]
