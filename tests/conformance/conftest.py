"""The registry under test, repositories, and the pushes that many cases look at."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.conformance.kinds import KINDS
from tests.conformance.pushing import Deleted, Pushed, delete_kind, push_kind
from tests.conformance.sections import Section
from tests.conformance.wire import Repository, open_client, open_recording_client
from tests.running.visitors import access_of, visited_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.running.entrepot import RunningEntrepot
    from tests.running.visitors import Access, Visitor

_numbers: Final = itertools.count(1)
_PROJECT: Final = "conformance"
"""Which all repositories of the suite are in, but for names that are a test's own."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks of this suite."""
    config.addinivalue_line(
        "markers", "cites(section, ...): the sections of the specification a case is from"
    )
    config.addinivalue_line("markers", "dev_level: asks what the specification demands only since 1.1")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a case that does not say from where it was written."""
    cited = [section for mark in item.iter_markers("cites") for section in mark.args]
    if not cited or not all(isinstance(section, Section) for section in cited):
        raise pytest.UsageError(f"{item.nodeid} cites no section of the specification")


@pytest.fixture(scope="session")
def client(registry: RunningEntrepot, visitor: Visitor) -> Iterator[httpx.Client]:
    """Speak HTTP to the registry."""
    visitor.make_project(_PROJECT)
    with open_client(registry.url, visitor.auth) as client:
        yield client


@pytest.fixture(scope="session")
def recording_client(registry: RunningEntrepot, visitor: Visitor) -> Iterator[httpx.Client]:
    """Speak HTTP to the registry, and leave judging to the cases."""
    visitor.make_project(_PROJECT)
    with open_recording_client(registry.url, visitor.auth) as client:
        yield client


@pytest.fixture
def repository(client: httpx.Client) -> Repository:
    """Return a repository that no other test uses; nobody has pushed to it yet."""
    return Repository(client, f"conformance/case-{next(_numbers)}")


@pytest.fixture(scope="session")
def pushed(recording_client: httpx.Client) -> Callable[[str], Pushed]:
    """Return a function that pushes a kind when it is first asked for, and returns what came of it."""
    done: dict[str, Pushed] = {}

    def look_up(kind: str) -> Pushed:
        if kind not in done:
            done[kind] = push_kind(Repository(recording_client, f"conformance/{kind}"), KINDS[kind])
        return done[kind]

    return look_up


@pytest.fixture(scope="session")
def deleted(recording_client: httpx.Client) -> Callable[[str], Deleted]:
    """Return a function that pushes and deletes a kind when it is first asked for, and returns what came of it."""
    done: dict[str, Deleted] = {}

    def look_up(kind: str) -> Deleted:
        if kind not in done:
            done[kind] = delete_kind(Repository(recording_client, f"conformance/gone-{kind}"), KINDS[kind])
        return done[kind]

    return look_up


@pytest.fixture(scope="session")
def sparse_client(tmp_path_factory: pytest.TempPathFactory, rotating_seed: int) -> Iterator[httpx.Client]:
    """Speak to a registry that takes indexes of which a part is elsewhere."""
    settings = {"registry": {"sparse_indexes": "accept"}}
    yield from _client_of(tmp_path_factory.mktemp("sparse-"), settings, access_of(0, rotating_seed))


@pytest.fixture(scope="session")
def keeping_client(tmp_path_factory: pytest.TempPathFactory, rotating_seed: int) -> Iterator[httpx.Client]:
    """Speak to a registry that deletes nothing."""
    settings = {"registry": {"allow_delete": False}}
    yield from _client_of(tmp_path_factory.mktemp("keeping-"), settings, access_of(1, rotating_seed))


def _client_of(
    directory: Path, settings: dict[str, dict[str, Any]], access: Access
) -> Iterator[httpx.Client]:
    with visited_registry(access, directory, settings) as (running, visitor):
        visitor.make_project(_PROJECT)
        with open_client(running.url, visitor.auth) as client:
            yield client
