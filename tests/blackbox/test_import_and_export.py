"""A stranger's docker-registry is imported and served byte for byte; what was exported is read by everybody's tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.blackbox.material.images import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    IMAGE_MANIFEST,
    INDEX,
    build_index,
    digest_of,
)
from tests.blackbox.material.layouts import read_layout
from tests.processes.running import ROOT
from tests.running.docker_registry import running_docker_registry
from tests.running.entrepot import RunningEntrepot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.blackbox.clients.docker_engine import DockerEngine
    from tests.blackbox.clients.program import Program
    from tests.blackbox.conftest import Material

_ACCEPT: Final = f"{IMAGE_MANIFEST}, {INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"
_PASSWORD_OF_ANN: Final = "$2b$04$QlP0zh.AB83ZtAR/mrnRReYLLfm7QowIzCSxFmchXmGIrWGZEXGBO"
"""bcrypt of `canary`, the only kind that docker-registry takes."""


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that a client can see of a registry: manifests by tag and by digest, and their types, and blobs."""

    tags: dict[str, str] = field(default_factory=dict[str, str])
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict[str, tuple[str, bytes]])
    blobs: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Stranger:
    """The storage directory of a docker-registry that was stopped, and what it served before."""

    root: Path
    found: Found
    deleted: str
    """The digest of a manifest that was deleted."""


def look(url: str, digests: Mapping[str, str] | None = None) -> Found:
    """Read everything that a registry lists, and manifests by digest that it does not list (repository by digest)."""
    found = Found()
    with httpx.Client(base_url=url, timeout=30, headers={"Accept": _ACCEPT}) as client:
        for repository in client.get("/v2/_catalog?n=1000").json()["repositories"]:
            listed = client.get(f"/v2/{repository}/tags/list")
            tags: list[str] = (listed.json()["tags"] or []) if listed.status_code == 200 else []
            for tag in tags:
                found.tags[f"{repository}:{tag}"] = _read(client, found, repository, tag)
        for digest, repository in (digests or {}).items():
            _read(client, found, repository, digest)
    return found


def _read(client: httpx.Client, found: Found, repository: str, reference: str) -> str:
    reply = client.get(f"/v2/{repository}/manifests/{reference}")
    assert reply.status_code == 200, f"{repository} {reference}: {reply.text}"
    digest = digest_of(reply.content)
    assert reply.headers["docker-content-digest"] == digest
    key = f"{repository}@{digest}"
    if key not in found.manifests:
        found.manifests[key] = (reply.headers["content-type"], reply.content)
        document = reply.json()
        for child in document.get("manifests", []):
            _read(client, found, repository, child["digest"])
        for blob in [*([document["config"]] if "config" in document else []), *document.get("layers", [])]:
            content = client.get(f"/v2/{repository}/blobs/{blob['digest']}", follow_redirects=True).content
            found.blobs[f"{repository}@{blob['digest']}"] = digest_of(content)
    return digest


def entrepot(*arguments: str, fails: bool = False) -> dict[str, Any]:
    """Run a command and return its JSON."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}
    result = subprocess.run(
        [sys.executable, "-m", "entrepot", *arguments, "--config", "/dev/null", "-o", "json"],
        env={**kept, "HOME": "/nonexistent"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == int(fails), result.stdout + result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


@pytest.fixture(scope="module")
def stranger(
    skopeo: Program, oras: Program, material: Material, tmp_path_factory: pytest.TempPathFactory
) -> Stranger:
    """Let docker-registry write a tree: indexes, both formats, nested names, a referrer, a moved and a deleted tag."""
    directory = tmp_path_factory.mktemp("stranger")
    with running_docker_registry(directory, directory / "tree") as old:
        layout = f"oci:{material.small_layout}:multi"
        archive = f"docker-archive:{material.small_archive('amd64')}"
        for name in ("app", "team/app", "team/app/nested"):
            skopeo.run("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", layout,
                       f"docker://{old.host}/{name}:multi")  # fmt: skip
        skopeo.run(
            "copy", "--dest-tls-verify=false", "--format", "v2s2", archive, f"docker://{old.host}/app:docker"
        )
        skopeo.run(
            "copy", "--dest-tls-verify=false", "--format", "v2s2", archive, f"docker://{old.host}/app:moved"
        )
        skopeo.run("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", layout,
                   f"docker://{old.host}/app:moved")  # fmt: skip
        (directory / "report").write_text("a report")
        oras.run("attach", "--plain-http", "--disable-path-validation", "--artifact-type", "test/report",
                 f"{old.host}/team/app:multi", str(directory / "report"))  # fmt: skip
        skopeo.run(
            "copy", "--dest-tls-verify=false", "--format", "oci", archive, f"docker://{old.host}/gone:x"
        )
        deleted = json.loads(skopeo.run("inspect", "--tls-verify=false", f"docker://{old.host}/gone:x"))[
            "Digest"
        ]
        skopeo.run("delete", "--tls-verify=false", f"docker://{old.host}/gone:x")
        return Stranger(directory / "tree", look(old.url), deleted)


@pytest.fixture(scope="module")
def imported(stranger: Stranger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Import the tree with hard links, and return the data directory."""
    data = tmp_path_factory.mktemp("imported") / "data"
    report = entrepot(
        "import", "--from-distribution", str(stranger.root), "--data", str(data), "--link", "always"
    )
    assert (report["ok"], report["problems"], report["differences"]) == (True, [], [])
    assert set(report["blobs"]) == {"linked", "mounted"}
    return data


@pytest.fixture(scope="module")
def served(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEntrepot]:
    """Serve what was imported."""
    running = RunningEntrepot(tmp_path_factory.mktemp("served"), data_directory=imported)
    running.start()
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.end()


def test_a_strangers_registry_is_served_byte_for_byte(stranger: Stranger, served: RunningEntrepot) -> None:
    """Every tag, manifest, media type and blob that docker-registry served; what it had deleted is not there."""
    found = look(served.url)

    assert found == stranger.found
    assert len(found.tags) >= 6
    assert stranger.deleted not in {key.partition("@")[2] for key in found.manifests}
    assert served.get(f"/v2/gone/manifests/{stranger.deleted}")[0] == 404


def test_clients_pull_what_was_imported(
    skopeo: Program, oras: Program, material: Material, served: RunningEntrepot, tmp_path: Path
) -> None:
    """Skopeo gets the index with all that is in it, oras what was attached by the referrers API."""
    skopeo.run("copy", "--all", "--preserve-digests", "--src-tls-verify=false",
               f"docker://{served.host}/team/app/nested:multi", f"oci:{tmp_path}/out:multi")  # fmt: skip
    attached = json.loads(
        oras.run("discover", "--plain-http", "--distribution-spec", "v1.1-referrers-api", "--format", "json",
                 f"{served.host}/team/app:multi")
    )  # fmt: skip

    assert read_layout(tmp_path / "out") == read_layout(material.small_layout)
    assert "test/report" in json.dumps(attached)


def test_an_import_beside_the_running_registry_keeps_what_was_pushed_on_top(
    skopeo: Program, stranger: Stranger, served: RunningEntrepot, material: Material, imported: Path
) -> None:
    """New pushes go on top of imported blobs; the import is run again, copies nothing and moves no tag back."""
    archive = f"docker-archive:{material.small_archive('arm64')}"
    for name in ("app:new", "app:docker"):
        skopeo.run("copy", "--dest-tls-verify=false", archive, f"docker://{served.host}/{name}")
    pushed = look(served.url).tags

    report = entrepot("import", "--from-distribution", str(stranger.root), "--data", str(imported))

    assert (report["new_bytes"], report["tags"]["set"]) == (0, 0)
    assert [one["tag"] for one in report["tags"]["kept"]] == ["docker"]
    assert look(served.url).tags == pushed
    restored = entrepot(
        *("import", "--from-distribution", str(stranger.root), "--data", str(imported)),
        *("--repository", "app", "--tag", "docker", "--on-conflict", "overwrite"),
    )
    assert restored["tags"]["set"] == 1
    assert look(served.url).tags["app:docker"] == stranger.found.tags["app:docker"]


def test_a_running_docker_registry_with_a_login_is_imported(stranger: Stranger, tmp_path: Path) -> None:
    """By its address, with a password from a file; without one nothing is imported and nothing is changed."""
    users, password, data = tmp_path / "htpasswd", tmp_path / "password", tmp_path / "data"
    users.write_text(f"ann:{_PASSWORD_OF_ANN}\n")
    password.write_text("canary\n")
    with running_docker_registry(tmp_path, stranger.root, users) as old:
        denied = entrepot("import", "--from", old.url, "--data", str(data), "--repository", "app", fails=True)
        report = entrepot(
            *("import", "--from", old.url, "--data", str(data)),
            *("--username", "ann", "--password-file", str(password)),
        )

    assert denied["new_bytes"] == 0
    assert "--password-file" in denied["problems"][0]["reason"]
    assert (report["ok"], report["tags"]["set"]) == (True, len(stranger.found.tags))
    with RunningEntrepot(tmp_path / "served", data_directory=data) as running:
        assert look(running.url) == stranger.found


def test_another_entrepot_is_imported(served: RunningEntrepot, tmp_path: Path) -> None:
    """With what is attached to its images, under another name; what is left out stays out."""
    report = entrepot(
        *("import", "--from", served.url, "--data", str(tmp_path / "data")),
        *("--rename", "team=mirror/team", "--exclude", "app", "--tag", "multi"),
    )

    assert (report["ok"], report["repositories"], report["tags"]["set"]) == (True, 2, 2)
    assert report["compared"] > report["tags"]["set"], "nothing that is attached to an image came along"


def test_archives_of_docker_podman_and_skopeo_are_imported_and_run(
    podman: Program,
    skopeo: Program,
    docker_engine: DockerEngine,
    material: Material,
    tmp_path: Path,
) -> None:
    """What each of them saved in each of its formats: docker pulls and runs what was made of it, podman pulls it."""
    data = tmp_path / "data"
    docker_engine.docker.run("load", "--input", str(material.small_archive("amd64")))
    docker_engine.docker.run("save", "--output", f"{tmp_path}/docker.tar", "tests/small:amd64")
    docker_engine.remove("tests/small:amd64")
    podman.run("load", "--input", str(material.small_archive("amd64")))
    for kind in ("docker-archive", "oci-archive"):
        podman.run(
            "save", "--format", kind, "--output", f"{tmp_path}/{kind}.tar", "localhost/tests/small:amd64"
        )
    skopeo.run(
        "copy", f"oci:{material.small_layout}:multi", f"docker-archive:{tmp_path}/skopeo.tar:by/skopeo:1"
    )
    for option, file, prefix in (
        ("--from-docker-archive", "docker.tar", "docker"),
        ("--from-docker-archive", "docker-archive.tar", "saved"),
        ("--from-oci-layout", "oci-archive.tar", "layout"),
        ("--from-docker-archive", "skopeo.tar", ""),
    ):
        report = entrepot("import", option, f"{tmp_path}/{file}", "--data", str(data), "--prefix", prefix)
        assert (report["ok"], report["tags"]["set"]) == (True, 1), file

    with RunningEntrepot(tmp_path / "served", data_directory=data) as running:
        prefixed = [f"{prefix}/tests/small:amd64" for prefix in ("docker", "saved", "layout")]
        for name in (*prefixed, "by/skopeo:1"):
            reference = f"{running.host}/{name}"
            podman.run("pull", "--tls-verify=false", reference)
            docker_engine.docker.run("pull", reference)
            said = docker_engine.docker.run(
                "run", "--rm", "--network=none", reference, "/bin/echo", "it runs"
            )
            assert said.strip() == "it runs"
            manifest = json.loads(running.get(f"/v2/{name.replace(':', '/manifests/')}")[1])
            assert docker_engine.inspect(reference)["Id"] == manifest["config"]["digest"]
            docker_engine.remove(reference)


def test_layouts_are_read_by_the_tools_and_imported_elsewhere(
    skopeo: Program,
    oras: Program,
    podman: Program,
    stranger: Stranger,
    imported: Path,
    material: Material,
    tmp_path: Path,
) -> None:
    """A layout for one repository, one for each of all, and an archive; all lead back to the same digests."""
    entrepot("export", "team/app/nested", "--to", f"{tmp_path}/one", "--data", str(imported))
    entrepot("export", "team/app:multi", "--to", f"{tmp_path}/one.tar", "--tar", "--data", str(imported))
    everything = entrepot(
        "export", "--all", "--referrers", "--to", f"{tmp_path}/all", "--data", str(imported)
    )

    skopeo.run(
        "copy", "--all", "--preserve-digests", f"oci:{tmp_path}/one:multi", f"oci:{tmp_path}/copy:multi"
    )
    skopeo.run(
        "copy", "--all", "--preserve-digests", f"oci-archive:{tmp_path}/one.tar:multi", f"dir:{tmp_path}/dir"
    )
    fetched = oras.run("manifest", "fetch", "--oci-layout", f"{tmp_path}/one:multi")
    podman.run("pull", f"oci:{tmp_path}/one:multi")
    assert read_layout(tmp_path / "copy") == read_layout(material.small_layout)
    assert (
        (tmp_path / "dir" / "manifest.json").read_bytes() == fetched.encode() == build_index(material.small)
    )

    report = entrepot("import", "--from-oci-layout", f"{tmp_path}/all", "--data", f"{tmp_path}/elsewhere")
    assert (everything["ok"], report["ok"]) == (True, True)
    with RunningEntrepot(tmp_path / "served", data_directory=tmp_path / "elsewhere") as running:
        found = look(running.url)
    expected = {name: digest for name, digest in stranger.found.tags.items() if name != "app:docker"}
    assert {name: digest for name, digest in found.tags.items() if name in expected} == expected
