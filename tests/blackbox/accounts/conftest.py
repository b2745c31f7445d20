"""A registry with accounts, people in every role, a project for each test, and programs that act as any of them."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import httpx
import pytest
from harborapi import HarborAsyncClient

from tests.blackbox.clients.signed_in import (
    BuildahAs,
    ContainerdAs,
    CosignAs,
    DockerAs,
    OrasAs,
    PodmanAs,
    SignedIn,
    SkopeoAs,
)
from tests.blackbox.http_client import RegistryClient
from tests.running.control_client import Account
from tests.running.setups import Setup, stores_of
from tests.running.with_accounts import ADMINISTRATOR, PASSWORD, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from tests.blackbox.clients.cosign import Cosign
    from tests.blackbox.clients.docker_engine import DockerEngine
    from tests.blackbox.clients.program import Program
    from tests.blackbox.conftest import Material
    from tests.running.control_client import ControlClient

__all__ = ["IN_PROJECTS", "ON_SYSTEM", "Look", "People", "SignIn", "Team"]

SignIn: TypeAlias = "Callable[[Account | None], SignedIn]"
Look: TypeAlias = "Callable[..., list[tuple[Any, ...]]]"

IN_PROJECTS: Final = ("guest", "developer", "team-lead", "project-admin")
"""Roles that people of the tests have in one project."""
ON_SYSTEM: Final = ("auditor", "operations-admin")
"""Roles that they have everywhere."""

_numbers: Final = itertools.count(1)
_SETTINGS: Final = {
    "lockout": {"attempts": 1000}
}  # all tests come from one address, and some guess on purpose


@dataclass(frozen=True, slots=True)
class People:
    """Who there is; each person is named by the one role they have, and `outsider` has none."""

    accounts: dict[str, Account]

    def __getitem__(self, role: str) -> Account:
        return self.accounts[role]


@dataclass(frozen=True, slots=True)
class Team:
    """A private project in which all have their roles, with one repository that holds one image under the tag `1`."""

    control: ControlClient
    registry: EntrepotWithAccounts
    name: str
    people: People
    http: RegistryClient
    """The repository, by plain HTTP, as the first administrator."""
    digest: str

    @property
    def repository(self) -> str:
        """The repository that exists."""
        return self.http.repository

    def tags(self) -> list[str]:
        """Return the tags that the repository has."""
        response = self.http.request("GET", "tags/list")
        assert response.status_code == 200, response.text
        found: list[str] = response.json()["tags"]
        return found

    def has(self, repository: str) -> bool:
        """Whether a repository exists."""
        response = self.http.client.get(f"/v2/{repository}/tags/list")
        assert response.status_code in {200, 404}, response.text
        return response.status_code == 200


@pytest.fixture(scope="session")
def ground(request: pytest.FixtureRequest) -> Setup:
    """Return where the registry keeps what it knows: SQLite and the file system, unless a module says otherwise."""
    chosen: Setup = getattr(request, "param", Setup.SQLITE_FILESYSTEM)
    return chosen


@pytest.fixture(scope="session")
def registry(
    ground: Setup, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EntrepotWithAccounts]:
    """Run one registry with accounts for as long as tests want the same ground; it must stop cleanly."""
    settings = {**_SETTINGS, **stores_of(ground, request, "with-accounts/")}
    if ground.uses_s3:
        settings["storage.s3"] |= {"redirect_downloads": True}
    running = EntrepotWithAccounts(tmp_path_factory.mktemp("with-accounts"), settings=settings)
    running.start()
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.end()


@pytest.fixture(scope="session")
def control(registry: EntrepotWithAccounts) -> ControlClient:
    """Return the control API as the first administrator."""
    return registry.control()


@pytest.fixture(scope="session")
def people(control: ControlClient) -> People:
    """Make a person for each role; those in projects get them with the projects."""
    accounts: dict[str, Account] = {}
    for role in (*IN_PROJECTS, *ON_SYSTEM, "outsider"):
        accounts[role] = Account(f"person.{role}", PASSWORD)
        user_id = control.create_user(accounts[role])
        if role == "operations-admin":
            control.set_operations_admin(user_id, flag=True)
        elif role in ON_SYSTEM:
            control.assign_system_role(user_id, role)
    return People(accounts)


@pytest.fixture(scope="session")
def make_team(
    registry: EntrepotWithAccounts, control: ControlClient, people: People, material: Material
) -> Iterator[Callable[..., Team]]:
    """Return a maker of projects, with people in these roles and this metadata."""
    image = material.small[0]
    with httpx.Client(base_url=registry.url, timeout=30, auth=_basic(ADMINISTRATOR)) as client:

        def make(*, roles: Sequence[str] = IN_PROJECTS, **metadata: str) -> Team:
            name = f"team-{next(_numbers)}"
            control.create_project(name, **metadata)
            for role in roles:
                control.add_member(name, people[role].name, role)
            repository = RegistryClient(client, f"{name}/app")
            repository.push_blobs(image)
            assert repository.put_manifest("1", image.manifest).status_code == 201
            return Team(control, registry, name, people, repository, image.digest)

        yield make


@pytest.fixture
def team(make_team: Callable[..., Team]) -> Team:
    """Make the test's own project."""
    return make_team()


def _basic(account: Account) -> tuple[str, str]:
    return account.name, account.secret


@pytest.fixture
def skopeo_as(
    skopeo: Program, material: Material, registry: EntrepotWithAccounts, tmp_path: Path
) -> Callable[[Account | None], SkopeoAs]:
    """Return a maker of skopeos that are logged in."""

    def sign_in(account: Account | None) -> SkopeoAs:
        image = f"oci:{material.small_layout}:multi"
        client = SkopeoAs(skopeo, tmp_path, registry.host, account, image=image)
        client.log_in()
        return client

    return sign_in


@pytest.fixture
def sign_in(  # one branch per program
    request: pytest.FixtureRequest, material: Material, registry: EntrepotWithAccounts, tmp_path: Path
) -> SignIn:
    """Return a maker of the client that the test is parametrized with, logged in as somebody."""
    name: str = request.param
    host = registry.host

    def make(account: Account | None) -> SignedIn:
        if name == "docker":
            engine: DockerEngine = request.getfixturevalue("docker_engine")
            engine.docker.run("load", "--input", str(material.small_archive("amd64")))
            return DockerAs(engine.docker, tmp_path, host, account, image="tests/small:amd64")
        if name == "cosign":
            cosign: Cosign = request.getfixturevalue("cosign")
            return CosignAs(cosign, tmp_path, host, account, digest=material.small[0].digest)
        program: Program = request.getfixturevalue(name)
        if name == "skopeo":
            image = f"oci:{material.small_layout}:multi"
            return SkopeoAs(program, tmp_path, host, account, image=image)
        if name == "oras":
            return OrasAs(program, tmp_path, host, account, layout=f"{material.small_layout}:multi")
        if name == "ctr":
            program.run("images", "import", str(material.small_archive("amd64")))
            return ContainerdAs(program, tmp_path, host, account, image="docker.io/tests/small:amd64")
        kind = PodmanAs if name == "podman" else BuildahAs
        return kind(program, tmp_path, host, account, archive=material.small_archive("amd64"))

    def sign_in(account: Account | None) -> SignedIn:
        client = make(account)
        client.log_in()
        return client

    return sign_in


@pytest.fixture(scope="session")
def look(registry: EntrepotWithAccounts) -> Look:
    """Return a reader of the registry's database: another way to see what a call did than the API's own answers."""
    path = registry.data_directory / "metadata" / "entrepot.db"

    def look(statement: str, **values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute(statement, values).fetchall()

    return look


@pytest.fixture
async def harbor(registry: EntrepotWithAccounts) -> AsyncIterator[HarborAsyncClient]:
    """Return harborapi's client as the first administrator. It raises for errors, but not for a wrong success."""
    client = _harbor(registry, ADMINISTRATOR)
    yield client
    await client.client.aclose()


def _harbor(registry: EntrepotWithAccounts, account: Account) -> HarborAsyncClient:
    url = f"{registry.url}/api/v2.0"
    return HarborAsyncClient(url=url, username=account.name, secret=account.secret, retry=None)


@pytest.fixture
async def harbor_as(
    registry: EntrepotWithAccounts,
) -> AsyncIterator[Callable[[Account], HarborAsyncClient]]:
    """Return a maker of such clients for anybody."""
    async with AsyncExitStack() as stack:

        def make(account: Account) -> HarborAsyncClient:
            client = _harbor(registry, account)
            stack.push_async_callback(client.client.aclose)
            return client

        yield make
