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
    from tests.running.visitors import Visitor

pytestmark = pytest.mark.real_client

_LEFT_OUT: Final = "not many_tags and not ssl and not test_chunked_push"
"""The first two speak to the internet; the third sends 16 GiB (chunks are sent by a test of ours below)."""
_NEED_TLS: Final = {"test_directory_push_pull_selfsigned_auth", "test_custom_docker_config_path"}
"""Of those that want passwords."""
_NEED_AUTHENTICATION: Final = {"test_login_logout", *_NEED_TLS}
_NEED_NONE: Final = {
    "test_annotated_registry_push",
    "test_basic_push_pul_via_sha_ref",
    "test_basic_push_pull",
    "test_directory_push_pull",
    "test_file_contains_column",
    "test_get_delete_tags",
    "test_pull_to_layout_by_digest",
    "test_pull_to_layout_custom_tag",
    "test_pull_to_layout_multi_arch",
    "test_pull_to_layout_single_arch",
    "test_push_from_layout_invalid_tag",
    "test_push_from_layout_multi_arch",
    "test_push_from_layout_single_arch",
}


@pytest.fixture
def client(registry: RunningEntrepot, visitor: Visitor) -> Iterator[Any]:
    """Return the library's client (it declares no types).

    With accounts by Basic: of tokens it keeps the first it gets, whatever that is good for.
    """
    library: Any = importlib.import_module("oras.client")
    opened = library.OrasClient(hostname=registry.host, insecure=True, auth_backend="basic")
    if visitor.account is not None:
        opened.auth.set_basic_auth(visitor.account.name, visitor.account.secret)
    yield opened
    opened.session.close()


def test_the_librarys_own_tests_pass(registry: RunningEntrepot, visitor: Visitor, tmp_path: Path) -> None:
    """All but those that leave the machine; skipped are those that want passwords, or those that want none."""
    visitor.make_project("dinosaur")
    left_out = _LEFT_OUT if visitor.account is None else " and not ".join((_LEFT_OUT, *sorted(_NEED_TLS)))
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
            "--rootdir", str(suite), "--strict-markers", "-o", "markers=with_auth", "-k", left_out,
            f"--junitxml={report}", str(suite),
        ],
        cwd=suite,
        env={
            **scratch_environment(tmp_path / "home"),
            "ORAS_HOST": "127.0.0.1",
            "ORAS_PORT": str(registry.port),
            "VIRTUAL_ENV": os.environ.get("VIRTUAL_ENV", ""),
            **_password(visitor),
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )  # fmt: skip

    assert finished.returncode == 0, finished.stdout + finished.stderr
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314  # we made pytest write it
    outcomes = {case.attrib["name"]: {child.tag for child in case} for case in cases}
    expected = _NEED_AUTHENTICATION if visitor.account is None else _NEED_NONE
    assert {name for name, tags in outcomes.items() if "skipped" in tags} == expected
    assert len(outcomes) >= 58


def _password(visitor: Visitor) -> dict[str, str]:
    if visitor.account is None:
        return {}
    return {"ORAS_AUTH": "true", "ORAS_USER": visitor.account.name, "ORAS_PASS": visitor.account.secret}


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
