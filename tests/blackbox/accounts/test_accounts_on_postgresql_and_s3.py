"""Accounts on the other engine and the other store: what people and robots may do is the same there, with two clients.

Whoever may pull is sent to the object store for what is large, and nobody else is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.blackbox.clients.signed_in import refused
from tests.running.control_client import Account
from tests.running.setups import Setup

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.blackbox.accounts.conftest import SignIn, Team

_LARGE: Final = bytes(2 * 1024 * 1024)
"""So much that the registry keeps no copy of its own."""

pytestmark = [
    pytest.mark.real_client,
    pytest.mark.parametrize("ground", [Setup.POSTGRESQL_S3], indirect=True, ids=str),
]


@pytest.mark.parametrize("sign_in", ["skopeo", "docker"], indirect=True)
def test_s10_s14_people_and_robots_do_what_they_may_and_no_more(
    sign_in: SignIn, make_team: Callable[..., Team]
) -> None:
    """Login, push, pull and refusal of each kind of account, and the end of one that was removed."""
    team, public = make_team(), make_team(public="true")
    people, repository = team.people, team.repository
    robot = team.control.create_robot(team.name, "ci", ["repository:pull", "repository:push"])
    found: list[dict[str, Any]] = team.control.get(f"/projects/{team.name}/members?page_size=100")
    (member,) = [entry for entry in found if entry["entity_name"] == people["guest"].name]

    refused(lambda: sign_in(Account(people["developer"].name, "Wrong-Meadow-29")).pull(repository, "1"))
    sign_in(people["developer"]).push(repository, "pushed")
    guest = sign_in(people["guest"])
    guest.pull(repository, "pushed")
    refused(lambda: guest.push(repository, "more"))
    machine = sign_in(robot)
    machine.pull(repository, "pushed")
    machine.push(repository, "built")
    for account in (people["outsider"], None):
        client = sign_in(account)
        refused(lambda client=client: client.pull(repository, "pushed"))  # type: ignore[misc]  # a default
    nobody = sign_in(None)
    nobody.pull(public.repository, "1")
    refused(lambda: nobody.push(public.repository, "more"))
    team.control.remove_member(team.name, member["id"])
    refused(lambda: guest.pull(repository, "pushed"))

    assert (team.tags(), public.tags()) == (["1", "built", "pushed"], ["1"])


def test_s2_nobody_is_sent_to_the_object_store_who_was_not_let_in(team: Team) -> None:
    """The address there is signed: without what the registry added, the store refuses."""
    blob = team.http.push_blob(_LARGE)
    url, outsider = f"{team.registry.url}/v2/{team.repository}/blobs/{blob}", team.people["outsider"]

    sent = team.http.request("GET", f"blobs/{blob}")
    refused = [httpx.get(url, auth=(outsider.name, outsider.secret)), httpx.get(url)]

    assert sent.status_code == 307
    assert httpx.get(sent.headers["location"]).content == _LARGE
    assert httpx.get(sent.headers["location"].partition("?")[0]).status_code == 403
    assert [answer.status_code for answer in refused] == [403, 401]
    assert [name for answer in refused for name in answer.headers if name == "location"] == []
