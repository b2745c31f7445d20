"""The four ways to run a registry that every test from outside goes through, and the registries themselves."""

from __future__ import annotations

import shutil
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest

from tests.running.entrepot import RunningEntrepot
from tests.running.stored_blobs import StoredBlobs, count_on_disk, counting_in_bucket
from tests.running.visitors import make_registry

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.drivers.postgres_server import PostgresServer
    from tests.drivers.s3_server import S3Server
    from tests.running.visitors import Access

__all__ = ["Setup", "registry", "registry_settings", "setup", "stored_blobs", "stores_of"]

_LOG_START = pytest.StashKey[int]()


class Setup(StrEnum):
    """An engine for metadata and a store for blobs."""

    SQLITE_FILESYSTEM = "sqlite+filesystem"
    SQLITE_S3 = "sqlite+s3"
    POSTGRESQL_FILESYSTEM = "postgresql+filesystem"
    POSTGRESQL_S3 = "postgresql+s3"

    @property
    def uses_postgresql(self) -> bool:
        """Whether metadata lies in PostgreSQL."""
        return self.startswith("postgresql")

    @property
    def uses_s3(self) -> bool:
        """Whether blobs lie in an object store."""
        return self.endswith("s3")


@pytest.fixture(scope="session", params=list(Setup), ids=str)
def setup(request: pytest.FixtureRequest) -> Setup:
    """Return each setup in turn; all tests of one run before the next begins."""
    chosen: Setup = request.param
    return chosen


@pytest.fixture(scope="session")
def registry_settings(setup: Setup, request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """Return the settings of one setup, with a database and a part of the bucket that no other registry uses."""
    return stores_of(setup, request, f"{setup.replace('+', '-')}/")


def stores_of(setup: Setup, request: pytest.FixtureRequest, prefix: str) -> dict[str, dict[str, Any]]:
    """Return the settings of a setup with a database of its own, and that part of the bucket."""
    settings: dict[str, dict[str, Any]] = {}
    # Asked for by name, so that a server starts only when a test needs it.
    if setup.uses_postgresql:
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        settings["metadata"] = {"url": postgres.create_database()}
    if setup.uses_s3:
        s3: S3Server = request.getfixturevalue("s3_server")
        settings["storage"] = {"driver": "s3"}
        settings["storage.s3"] = {
            "endpoint": s3.endpoint_url,
            "bucket": s3.bucket,
            "prefix": prefix,
            "access_key": s3.access_key_id,
            "secret_key": s3.secret_access_key,
        }
    return settings


@pytest.fixture(scope="session")
def registry(
    setup: Setup,
    access: Access,
    registry_settings: dict[str, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningEntrepot]:
    """Run one registry per setup for the session; at the end it must stop cleanly."""
    directory = tmp_path_factory.mktemp(f"registry-{setup.replace('+', '-')}-")
    running = make_registry(access, directory, registry_settings)
    running.start()
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.end()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def stored_blobs(
    registry: RunningEntrepot, registry_settings: dict[str, dict[str, Any]]
) -> Iterator[StoredBlobs]:
    """Count copies of blobs in the store of the running registry."""
    if "storage.s3" in registry_settings:
        with counting_in_bucket(registry_settings["storage.s3"]) as count:
            yield StoredBlobs(count)
    else:
        yield StoredBlobs(count_on_disk(registry.data_directory / "storage"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Remember where the registry's log stands when a test begins."""
    running = _registry_of(item)
    if running is not None:
        item.stash[_LOG_START] = running.log_size()
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the registry logged during a test below its failure."""
    report = yield
    running = _registry_of(item)
    if report.failed and running is not None:
        text = running.log_tail(item.stash.get(_LOG_START, 0))
        report.sections.append(("registry log", text))
    return report


def _registry_of(item: pytest.Item) -> RunningEntrepot | None:
    arguments: dict[str, object] = getattr(item, "funcargs", {})
    running = arguments.get("registry")
    return running if isinstance(running, RunningEntrepot) else None
