"""Two people at one registry: what one has begun, stored or deleted is nothing that the other can reach by its name.

Each way in is tried by somebody who may push, only elsewhere or only as another: a digest that is known, an upload's
address that leaked, a mount from a repository that is not theirs.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.blackbox.clients.tokens import bearer_client
from tests.blackbox.http_client import RegistryClient, error_code
from tests.blackbox.material.images import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.blackbox.accounts.conftest import Team
    from tests.running.control_client import Account

_CONTENT = b"known to its project only"


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Two private projects, each with a developer who is nobody in the other's."""

    mine: Team
    others: Team
    me: RegistryClient
    other: RegistryClient


@contextmanager
def _acting(team: Team, account: Account, entrance: str) -> Iterator[RegistryClient]:
    """Yield the team's repository as somebody sees it who presents a password, or a token for it."""
    if entrance == "bearer":
        client = bearer_client(team.registry.url, account, team.repository, "pull,push")
    else:
        credentials = (account.name, account.secret)
        client = httpx.Client(base_url=team.registry.url, timeout=30, auth=credentials)
    with client:
        yield RegistryClient(client, team.repository)


@pytest.fixture(params=["basic", "bearer"])
def neighbours(request: pytest.FixtureRequest, make_team: Callable[..., Team]) -> Iterator[Neighbours]:
    """Make the two projects; both people come in by the same entrance."""
    mine, others = make_team(roles=("developer",)), make_team(roles=("team-lead",))
    with ExitStack() as stack:
        me = stack.enter_context(_acting(mine, mine.people["developer"], request.param))
        other = stack.enter_context(_acting(others, others.people["team-lead"], request.param))
        yield Neighbours(mine, others, me, other)


def _mount(target: RegistryClient, digest: str, source: str) -> int:
    response = target.request("POST", "blobs/uploads/", params={"mount": digest, "from": source})
    return response.status_code


def test_s3_s6_a_blob_of_a_project_one_may_not_read_is_not_there(neighbours: Neighbours) -> None:
    """Though the store holds it and it was pushed just now: 404 under one's own name, and a mount begins an upload."""
    digest = neighbours.other.push_blob(_CONTENT)
    assert neighbours.other.has_blob(digest)

    assert not neighbours.me.has_blob(digest)
    assert error_code(neighbours.me.get_blob(digest)) == (404, "BLOB_UNKNOWN")
    for known in (digest, digest_of(b"nowhere")):
        assert _mount(neighbours.me, known, neighbours.others.repository) == 202
        response = neighbours.me.request("POST", "blobs/uploads/", params={"mount": known})
        assert response.status_code == 202, response.text

    assert not neighbours.me.has_blob(digest)
    assert neighbours.other.get_blob(digest).content == _CONTENT


def test_s4_a_blob_that_was_deleted_stays_deleted_though_another_project_has_it(
    neighbours: Neighbours,
) -> None:
    """Deleted from one project, asked for in the other, asked for again in the first."""
    digest = neighbours.other.push_blob(_CONTENT)
    assert neighbours.me.push_blob(_CONTENT) == digest
    assert neighbours.others.http.request("DELETE", f"blobs/{digest}").status_code == 202

    assert neighbours.me.has_blob(digest)
    assert error_code(neighbours.other.get_blob(digest)) == (404, "BLOB_UNKNOWN")
    assert not neighbours.other.has_blob(digest)
    assert neighbours.me.get_blob(digest).content == _CONTENT


@pytest.mark.parametrize("entrance", ["basic", "bearer"])
def test_s5_the_upload_of_another_subject_is_not_there_and_finishes_unharmed(
    team: Team, entrance: str
) -> None:
    """The team lead may push to the very repository, and still reads, continues, ends and cancels nothing."""
    developer, lead = team.people["developer"], team.people["team-lead"]
    with _acting(team, developer, entrance) as owner, _acting(team, lead, entrance) as other:
        location = owner.begin()
        first, rest = _CONTENT[:5], _CONTENT[5:]
        assert owner.append(location, first, 0).status_code == 202

        answers = [
            other.client.get(location),
            other.append(location, b"strange", len(first)),
            other.finish(location, digest_of(first)),
            other.client.delete(location),
        ]

        assert [error_code(answer) for answer in answers] == [(404, "BLOB_UPLOAD_UNKNOWN")] * 4
        assert owner.finish(location, digest_of(_CONTENT), rest).status_code == 201
        assert owner.get_blob(digest_of(_CONTENT)).content == _CONTENT


def test_s5_an_upload_is_not_there_under_another_repository(make_team: Callable[..., Team]) -> None:
    """The same person, who may push to both: an upload belongs to where it was begun."""
    mine, others = make_team(), make_team()
    developer = mine.people["developer"]
    with _acting(mine, developer, "basic") as owner:
        location = owner.begin()
        elsewhere = location.replace(mine.repository, others.repository)

        assert error_code(owner.client.get(elsewhere)) == (404, "BLOB_UPLOAD_UNKNOWN")
        assert error_code(owner.append(elsewhere, _CONTENT, 0)) == (404, "BLOB_UPLOAD_UNKNOWN")
        assert error_code(owner.client.delete(elsewhere)) == (404, "BLOB_UPLOAD_UNKNOWN")

        assert owner.finish(location, digest_of(_CONTENT), _CONTENT).status_code == 201
