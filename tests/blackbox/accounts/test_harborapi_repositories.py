"""harborapi's calls about repositories, each seen again by another path than its own: the database, or a pull."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from harborapi.exceptions import Forbidden, NotFound
from harborapi.models import Repository

from tests.blackbox.http_client import RegistryClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from harborapi import HarborAsyncClient

    from tests.blackbox.accounts.conftest import Look, Team
    from tests.blackbox.clients.signed_in import SkopeoAs
    from tests.blackbox.conftest import Material
    from tests.running.control_client import Account

_REPOSITORY: Final = "SELECT id, description FROM repositories WHERE name = :name AND deleted_at IS NULL"
_LIVE: Final = (
    "SELECT count(*), sum(p.is_public) FROM repositories r JOIN projects p ON p.id = r.project_id"
    " WHERE r.deleted_at IS NULL"
)


async def test_repositories_are_listed_described_and_deleted(
    harbor: HarborAsyncClient, team: Team, look: Look
) -> None:
    """A name with a slash, which harborapi encodes, is one name; what was deleted can't be pulled any more."""
    nested = f"{team.name}/services/billing"
    team.control.call("POST", f"/projects/{team.name}/repositories", {"name": "services/billing"}, status=201)

    listed = await harbor.get_repositories(team.name, sort="name")
    assert [repository.name for repository in listed] == [team.repository, nested]
    found = await harbor.get_repository(team.name, "services/billing")
    ((number, _),) = look(_REPOSITORY, name=nested)
    assert (found.id, found.name, found.artifact_count) == (number, nested, 0)

    await harbor.update_repository(team.name, "services/billing", Repository(description="invoices"))
    assert look(_REPOSITORY, name=nested) == [(number, "invoices")]

    await harbor.delete_repository(team.name, "app")
    assert look(_REPOSITORY, name=team.repository) == []
    assert not team.has(team.repository)
    with pytest.raises(NotFound):
        await harbor.get_repository(team.name, "app")


async def test_a_deletion_that_is_sent_again_leaves_what_is_pulled_by_one_segment(
    harbor: HarborAsyncClient, team: Team, material: Material
) -> None:
    """`library/hello` and `hello` are two repositories; the second is `_/hello` for harborapi."""
    image = material.small[0]
    team.control.create_project("library")
    for name in ("library/hello", "hello"):
        repository = RegistryClient(team.http.client, name)
        repository.push_blobs(image)
        assert repository.put_manifest("1", image.manifest).status_code == 201

    await harbor.delete_repository("library", "hello")
    with pytest.raises(NotFound):
        await harbor.delete_repository("library", "hello")

    assert (team.has("library/hello"), team.has("hello")) == (False, True)
    pulled = RegistryClient(team.http.client, "hello").request("GET", "manifests/1")
    assert (pulled.status_code, pulled.content) == (200, image.manifest)
    await harbor.delete_repository("library", "_/hello")
    assert not team.has("hello")
    await harbor.delete_project("library")


async def test_a_developer_pushes_to_a_repository_that_an_administrator_made(
    team: Team, skopeo_as: Callable[[Account], SkopeoAs]
) -> None:
    """Whom the refusal tells to ask has to be able to do it."""
    team.control.call("POST", f"/projects/{team.name}/repositories", {"name": "new"}, status=201)

    skopeo_as(team.people["developer"]).push(f"{team.name}/new", "1")

    assert team.has(f"{team.name}/new")


async def test_numbers_and_search_tell_of_what_one_sees(
    harbor: HarborAsyncClient,
    harbor_as: Callable[[Account], HarborAsyncClient],
    make_team: Callable[..., Team],
    look: Look,
) -> None:
    """The administrator counts everything; an outsider finds the public project and not the private one."""
    private, public = make_team(), make_team(public="true")
    ((repositories, in_public),) = look(_LIVE)

    counted = await harbor.get_statistics()
    assert (counted.total_repo_count, counted.public_repo_count) == (repositories, in_public)

    harbor = harbor_as(private.people["outsider"])
    for team, expected in ((private, []), (public, [public.repository])):
        found = await harbor.search(team.repository)
        assert [repository.repository_name for repository in found.repository or []] == expected
    with pytest.raises(Forbidden):
        await harbor.get_repositories(private.name)
