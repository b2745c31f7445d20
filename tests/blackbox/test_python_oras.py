"""The Python library `oras` and its own tests against this registry."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pytest

from tests.blackbox.clients.program import scratch_environment
from tests.blackbox.material.images import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.blackbox.clients.request_log import RequestLog
    from tests.blackbox.http_client import RegistryClient
    from tests.running.entrepot import RunningEntrepot

pytestmark = pytest.mark.real_client

_LEFT_OUT: Final = "not many_tags and not ssl and not test_chunked_push"
"""The first two speak to the internet; the third sends 16 GiB (chunks are sent by a test of ours below)."""
_NEED_AUTHENTICATION: Final = {
    "test_login_logout",
    "test_directory_push_pull_selfsigned_auth",
    "test_custom_docker_config_path",
}


@pytest.fixture
def client(registry: RunningEntrepot) -> Iterator[Any]:
    """Return the library's client (it declares no types)."""
    library: Any = importlib.import_module("oras.client")
    opened = library.OrasClient(hostname=registry.host, insecure=True)
    yield opened
    opened.session.close()


def test_the_librarys_own_tests_pass(registry: RunningEntrepot, tmp_path: Path) -> None:
    """All but those that leave the machine; only those that want passwords are skipped."""
    package = importlib.import_module("oras").__file__
    assert package is not None
    suite = tmp_path / "suite"  # a copy, for they write beside themselves
    shutil.copytree(
        Path(package).parent / "tests", suite, ignore=shutil.ignore_patterns("auth", "__pycache__")
    )
    report = tmp_path / "report.xml"

    finished = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "--rootdir", str(suite), "--strict-markers", "-o", "markers=with_auth", "-k", _LEFT_OUT,
            f"--junitxml={report}", str(suite),
        ],
        cwd=suite,
        env={
            **scratch_environment(tmp_path / "home"),
            "ORAS_HOST": "127.0.0.1",
            "ORAS_PORT": str(registry.port),
            "VIRTUAL_ENV": os.environ.get("VIRTUAL_ENV", ""),
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )  # fmt: skip

    assert finished.returncode == 0, finished.stdout + finished.stderr
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314  # we made pytest write it
    outcomes = {case.attrib["name"]: {child.tag for child in case} for case in cases}
    assert {name for name, tags in outcomes.items() if "skipped" in tags} == _NEED_AUTHENTICATION
    assert len(outcomes) >= 60


def test_an_artifact_comes_back_with_its_annotations(
    client: Any, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """A file of a media type of its own; the digest in the answer is that of the manifest stored."""
    (tmp_path / "report.txt").write_text(http.repository)
    target = f"{registry.host}/{http.repository}:1"

    pushed = client.push(
        target=target,
        files=[f"{tmp_path}/report.txt:text/plain"],
        manifest_annotations={"made.by": "a test"},
        disable_path_validation=True,
        quiet=True,
    )
    pulled = client.pull(target=target, outdir=str(tmp_path / "out"))

    assert [Path(file).read_text() for file in pulled] == [http.repository]
    stored = http.get_manifest("1")
    assert pushed.headers["docker-content-digest"] == digest_of(stored.content)
    assert stored.json()["annotations"] == {"made.by": "a test"}
    assert client.get_tags(target) == ["1"]


def test_a_second_push_sends_no_byte(
    client: Any,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
    tmp_path: Path,
) -> None:
    """It asks for each blob by HEAD and finds it."""
    (tmp_path / "file").write_text(http.repository)
    push = {"files": [str(tmp_path / "file")], "disable_path_validation": True, "quiet": True}
    client.push(target=f"{registry.host}/{http.repository}:1", **push)

    with watch() as seen:
        client.push(target=f"{registry.host}/{http.repository}:2", **push)

    assert (seen.begun_uploads, seen.sent_bodies) == ([], [])
    assert set(seen.statuses("HEAD", "blobs/")) == {200}


def test_a_file_is_sent_in_chunks_with_ranges(
    client: Any,
    registry: RunningEntrepot,
    http: RegistryClient,
    watch: Callable[[], AbstractContextManager[RequestLog]],
    tmp_path: Path,
) -> None:
    """Three chunks, each with its Content-Range, are one blob."""
    content = http.repository.encode().ljust(250_000, b".")
    (tmp_path / "file").write_bytes(content)

    with watch() as seen:
        client.push(
            target=f"{registry.host}/{http.repository}:1",
            files=[str(tmp_path / "file")],
            disable_path_validation=True,
            do_chunked=True,
            chunk_size=100_000,
            quiet=True,
        )

    assert seen.statuses("PATCH", "blobs/uploads/") == [202, 202, 202]
    assert http.get_blob(digest_of(content)).content == content


def test_a_deleted_tag_is_gone_and_an_absent_one_is_said_to_be(
    client: Any, registry: RunningEntrepot, http: RegistryClient, tmp_path: Path
) -> None:
    """`delete_tags` deletes the manifest the tag points at; it returns what it deleted."""
    (tmp_path / "file").write_text(http.repository)
    target = f"{registry.host}/{http.repository}:1"
    client.push(target=target, files=[str(tmp_path / "file")], disable_path_validation=True, quiet=True)

    assert client.delete_tags(target, ["1", "absent"]) == ["1"]

    assert http.get_manifest("1").status_code == 404
