"""What every black-box test shares: material, clients, and a repository of its own in a running registry."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.blackbox.clients.containerd import Containerd, run_containerd
from tests.blackbox.clients.cosign import Cosign
from tests.blackbox.clients.docker_engine import DockerEngine, run_docker_engine
from tests.blackbox.clients.logins import Logins
from tests.blackbox.clients.program import Program, scratch_environment
from tests.blackbox.clients.request_log import RequestLog, watch_requests
from tests.blackbox.http_client import RegistryClient
from tests.blackbox.material.images import Image, build_image, build_layer, build_random_layer
from tests.blackbox.material.layouts import write_docker_archive, write_index_layout, write_layout
from tests.plumbing.skips import MISSING_CLIENT, require_program
from tests.running.setups import Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.running.entrepot import RunningEntrepot
    from tests.running.visitors import Visitor

_numbers: Final = itertools.count(1)
_MIB: Final = 1024 * 1024
_PARTIAL_PULLS: Final = """\
[storage]
driver = "overlay"
graphroot = "{directory}/root"
runroot = "{directory}/run"
[storage.options]
pull_options = {{enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}}
"""
_BOTH_ENDS: Final = (Setup.SQLITE_FILESYSTEM, Setup.POSTGRESQL_S3)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker of tests that drive whole programs."""
    config.addinivalue_line(
        "markers",
        "real_client: drives a client program, which is slow: only on the embedded and on the PostgreSQL + S3 "
        "setup (each engine and each store once); on all four with --run-long",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out (not skip: nothing is missing) real clients on the two mixed setups."""
    if config.getoption("--run-long"):
        return
    left_out = {item for item in items if _is_real_client_on_a_mixed_setup(item)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _is_real_client_on_a_mixed_setup(item: pytest.Item) -> bool:
    callspec: Any = getattr(item, "callspec", None)
    setup = callspec.params.get("setup") if callspec is not None else None
    return (
        setup is not None and setup not in _BOTH_ENDS and item.get_closest_marker("real_client") is not None
    )


@dataclass(frozen=True, slots=True)
class Material:
    """Images of one session, as values and as files."""

    directory: Path
    small: tuple[Image, Image]
    """The same program for amd64 and arm64 (which only says so: nobody runs it)."""
    large: Image
    """Four layers of 25 MiB."""

    @property
    def small_layout(self) -> Path:
        """OCI layout: `multi` is the index of both platforms."""
        return self.directory / "small"

    @property
    def large_layout(self) -> Path:
        """OCI layout: `large`."""
        return self.directory / "large"

    def small_archive(self, architecture: str) -> Path:
        """Docker archive of `tests/small:<architecture>`."""
        return self.directory / f"small-{architecture}.tar"

    @property
    def large_archive(self) -> Path:
        """Docker archive of `tests/large:latest`."""
        return self.directory / "large.tar"


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Material]:
    """Make the images once."""
    directory = tmp_path_factory.mktemp("material")
    busybox = Path(require_program("busybox")).read_bytes()
    program = build_layer({"bin/busybox": busybox}, {"bin/sh": "busybox", "bin/echo": "busybox"})
    first, second = (
        build_image([program, build_layer({"platform": architecture.encode()})], architecture)
        for architecture in ("amd64", "arm64")
    )
    large = build_image([build_random_layer(f"part{seed}", 25 * _MIB, seed) for seed in range(4)])
    made = Material(directory, (first, second), large)
    write_index_layout(made.small_layout, "multi", made.small)
    write_layout(made.large_layout, "large", large)
    for image in made.small:
        write_docker_archive(
            made.small_archive(image.architecture), f"tests/small:{image.architecture}", image
        )
    write_docker_archive(made.large_archive, "tests/large:latest", large)
    yield made
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def logged_in(registry: RunningEntrepot, visitor: Visitor, logins: Logins) -> Visitor:
    """Let the client programs act as the visitor, too."""
    if visitor.account is not None:
        logins.remember(registry.host, visitor.account)
    return visitor


@pytest.fixture
def repository(logged_in: Visitor, request: pytest.FixtureRequest) -> str:
    """Return the name of a repository nobody used before: its project is the test's own too."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.originalname.lower()).strip("-")
    return logged_in.make_room(f"{words[:60].strip('-')}-{next(_numbers)}/image")


@pytest.fixture
def http(registry: RunningEntrepot, visitor: Visitor, repository: str) -> Iterator[RegistryClient]:
    """Speak plain HTTP to the repository of this test."""
    with httpx.Client(base_url=registry.url, auth=visitor.auth, timeout=30) as client:
        yield RegistryClient(client, repository)


@pytest.fixture
def watch(registry: RunningEntrepot, repository: str) -> Callable[[], AbstractContextManager[RequestLog]]:
    """Return a context manager's maker: the requests to this test's repository while its block ran."""
    return lambda: watch_requests(registry, repository)


@pytest.fixture(scope="session")
def client_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a directory for the client programs' homes and storage."""
    directory = tmp_path_factory.mktemp("clients")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def logins(client_home: Path) -> Logins:
    """Return whom the client programs act as; nobody, until there is an account."""
    return Logins.none_yet(client_home / "logins")


@pytest.fixture(scope="session")
def docker_engine(logins: Logins) -> Iterator[DockerEngine]:
    """Run a Docker Engine for the session."""
    daemon, client = require_program("dockerd"), require_program("docker")
    _require_root("dockerd")
    with run_docker_engine(daemon, client, **logins.environment) as engine:
        yield engine


@pytest.fixture(scope="session")
def ctr() -> Iterator[Program]:
    """Run a containerd for the session."""
    daemon, client = require_program("containerd"), require_program("ctr")
    _require_root("containerd")
    with run_containerd(daemon, client) as program:
        yield program


@pytest.fixture
def containerd(ctr: Program, visitor: Visitor) -> Containerd:
    """Return `ctr` as the visitor."""
    return Containerd(ctr, visitor.account)


@pytest.fixture(scope="session")
def skopeo(client_home: Path, logins: Logins) -> Program:
    """Return skopeo."""
    environment = scratch_environment(client_home / "skopeo", **logins.environment)
    return Program((require_program("skopeo"),), environment)


@pytest.fixture(scope="session")
def oras(client_home: Path, logins: Logins) -> Program:
    """Return oras."""
    return Program(
        (require_program("oras"),), scratch_environment(client_home / "oras", **logins.environment)
    )


@pytest.fixture(scope="session")
def umoci(client_home: Path) -> Program:
    """Return umoci."""
    return Program((require_program("umoci"),), scratch_environment(client_home / "umoci"))


@pytest.fixture(scope="session")
def cosign(client_home: Path, logins: Logins) -> Cosign:
    """Return cosign with a pair of keys made for the session."""
    return Cosign.with_new_keys(require_program("cosign"), client_home / "cosign", **logins.environment)


@pytest.fixture(scope="session")
def buildah(client_home: Path, logins: Logins) -> Iterator[Program]:
    """Return buildah with a storage of its own."""
    yield from _container_storage("buildah", client_home, logins)


@pytest.fixture(scope="session")
def podman(client_home: Path, logins: Logins) -> Iterator[Program]:
    """Return podman with a storage of its own."""
    yield from _container_storage("podman", client_home, logins, "--cgroup-manager", "cgroupfs")


@pytest.fixture(scope="session")
def overlay_podman(client_home: Path, logins: Logins) -> Iterator[Program]:
    """Return a podman that fetches only the parts of a zstd:chunked layer it lacks, which its vfs driver can't."""
    path = require_program("podman")
    _require_root("podman with overlay")
    storage = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))  # made unguessable by mkdtemp
    settings = storage / "storage.conf"
    settings.write_text(_PARTIAL_PULLS.format(directory=storage))
    environment = scratch_environment(
        client_home / "overlay", CONTAINERS_STORAGE_CONF=str(settings), **logins.environment
    )
    yield Program((path, "--cgroup-manager", "cgroupfs"), environment)
    # What overlay mounted below itself has to go before the files can.
    subprocess.run(["umount", "--quiet", f"{storage}/root/overlay"], check=False)
    shutil.rmtree(storage, ignore_errors=True)


def _container_storage(name: str, home: Path, logins: Logins, *options: str) -> Iterator[Program]:
    path = require_program(name)
    # Short and outside pytest's directories: podman refuses a run root of more than 50 characters.
    storage = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))  # made unguessable by mkdtemp
    command = (
        path, "--root", f"{storage}/root", "--runroot", f"{storage}/run", "--storage-driver", "vfs", *options,
    )  # fmt: skip
    yield Program(command, scratch_environment(home / name, **logins.environment))
    shutil.rmtree(storage, ignore_errors=True)


def _require_root(program: str) -> None:
    if os.geteuid() != 0:
        pytest.skip(f"{MISSING_CLIENT}: {program} (runs as root only)")
