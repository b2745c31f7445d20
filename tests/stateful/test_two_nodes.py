"""Two processes on one PostgreSQL database: what one takes away, the other refuses after its next look at the epochs.

A process looks every five seconds by itself; here it is told to. What is asserted before the look is that the other
one really held the thing for good, so that each test could fail.
"""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from entrepot.auth.access_tokens.access_tokens import NewAccessToken
from entrepot.auth.grants import OwnCredentialGrant
from entrepot.auth.keys.signing_keys import SigningKeys
from entrepot.auth.principals import Principal
from entrepot.auth.system_actions import (
    CreateRoleAssignment,
    DeleteRoleAssignment,
    UpdateUser,
    UpdateUserGroup,
)
from entrepot.bootstrap.keys import open_sealing
from tests.drivers.metadata.raw_database import RawDatabase
from tests.stateful.node import basic, bearer, node_settings, open_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.settings import Settings
    from tests.drivers.postgres_server import PostgresServer
    from tests.stateful.node import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PASSWORD = "Copper-Meadow-29"
_OTHER = "Velvet-Harvest-63"
_MASTER_KEY = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlICE="
_LIMITED_GUEST = 5
_numbers = itertools.count(1)
_MISSING = 404
"""What a pull gets that is allowed: nothing was pushed."""


@dataclass(slots=True)
class Pair:
    """The node where things are taken away, the one where they are used, and a person who is a member."""

    here: Node
    there: Node
    settings: Settings
    database: RawDatabase
    number: int
    alice: int = 0
    member: int = 0

    @property
    def name(self) -> str:
        """The login name of the person, whom these tests call alice."""
        return f"alice-{self.number}"

    @property
    def project(self) -> str:
        """The name of the project."""
        return f"apps-{self.number}"

    @property
    def scopes(self) -> list[str]:
        """What a push asks for."""
        return [f"repository:{self.project}/tool:pull,push"]

    async def begin(self) -> None:
        """Make a project, and alice a project administrator of it."""
        self.alice = await self.make("users", {"username": self.name, "password": _PASSWORD})
        reply = await self.here.api("POST", "projects", {"project_name": self.project})
        assert reply.status == 201
        self.member = await self.make(
            f"projects/{self.project}/members", {"role_id": 1, "member_user": {"username": self.name}}
        )
        await self.there.refresh()

    async def make(self, path: str, body: object) -> int:
        """Make something as administrator here, and return its number."""
        reply = await self.here.api("POST", path, body)
        assert reply.status == 201, reply.body
        return int(reply.headers["location"].rpartition("/")[2])

    async def change(self, method: str, path: str, body: object = None) -> None:
        """Change something as administrator here."""
        reply = await self.here.api(method, path, body)
        assert reply.status == 200, reply.body

    async def disable_alice(self) -> None:
        """Disable her here."""
        await self.here.accounts.people.disable(await self.here.system(UpdateUser), self.alice)

    async def pull_there(self, headers: dict[str, str]) -> int:
        """Return the status of a pull on the other node."""
        return (await self.there.client.request("GET", f"/v2/{self.project}/tool/tags/list", headers)).status

    async def begin_push_there(self, headers: dict[str, str]) -> int:
        """Return the status of the beginning of a push on the other node."""
        target = f"/v2/{self.project}/tool/blobs/uploads/"
        return (await self.there.client.request("POST", target, headers)).status

    async def bearer_from(self, node: Node, name: str, secret: str) -> dict[str, str]:
        """Return the header with a token that a node issued, and the other one has seen."""
        reply = await node.token(self.scopes, basic(name, secret))
        assert reply.status == 200
        headers = bearer(json.loads(reply.body)["token"])
        assert await self.pull_there(headers) == _MISSING
        return headers

    async def robot(self) -> tuple[int, str, str]:
        """Let alice make a robot here; return its number, name and secret."""
        body = {
            "name": f"ci-{self.project}",
            "level": "project",
            "permissions": [
                {
                    "kind": "project",
                    "namespace": self.project,
                    "access": [{"resource": "repository", "action": "pull"}],
                }
            ],
        }
        reply = await self.here.api("POST", "robots", body, basic(self.name, _PASSWORD))
        assert reply.status == 201, reply.body
        made = json.loads(reply.body)
        return made["id"], made["name"], made["secret"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nodes(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Node, Node, Settings, RawDatabase]]:
    """Run two nodes that look at the epochs when they are told to, and only then."""
    database, directory = RawDatabase(postgres_server.create_database()), tmp_path_factory.mktemp("nodes")
    flags: dict[str, str | bool] = {
        "metadata.url": database.url,
        "secrets.master_key": _MASTER_KEY,
        "storage.root": str(directory / "storage"),
    }
    here, there = (node_settings(directory / name, **flags) for name in ("here", "there"))
    async with open_node(here) as first, open_node(there) as second:
        await second.identity.epochs.aclose()
        yield first, second, here, database


@pytest_asyncio.fixture(loop_scope="module")
async def pair(nodes: tuple[Node, Node, Settings, RawDatabase]) -> Pair:
    """Return the nodes with a person and a project that no other test has."""
    pair = Pair(*nodes, next(_numbers))
    await pair.begin()
    return pair


@pytest.mark.parametrize(
    "change", ["disable", "delete", "password", "reset", "member", "project", "access-token"]
)
async def test_a_bearer_token_of_this_node_is_dead_on_the_other_after_one_look_s14(
    pair: Pair, change: str
) -> None:
    headers = await pair.bearer_from(pair.here, pair.name, _PASSWORD)
    token = None
    if change == "access-token":
        own = await pair.here.own(pair.name, _PASSWORD)
        token = await pair.here.accounts.access_tokens.create(own, NewAccessToken("laptop"))
        headers = await pair.bearer_from(pair.here, pair.name, token.secret)

    if change == "disable":
        await pair.disable_alice()
    elif change == "delete":
        await pair.change("DELETE", f"users/{pair.alice}")
    elif change == "password":
        body = {"old_password": _PASSWORD, "new_password": _OTHER}
        own_path = f"users/{pair.alice}/password"
        assert (await pair.here.api("PUT", own_path, body, basic(pair.name, _PASSWORD))).status == 200
    elif change == "reset":
        await pair.change("PUT", f"users/{pair.alice}/password", {"new_password": _OTHER})
    elif change == "member":
        await pair.change("DELETE", f"projects/{pair.project}/members/{pair.member}")
    elif change == "project":
        await pair.change("DELETE", f"projects/{pair.project}")
    elif token is not None:
        grant = await pair.here.system(UpdateUser)
        await pair.here.accounts.access_tokens.delete_of(grant, pair.alice, token.token.public_id)

    assert (
        await pair.pull_there(headers) == _MISSING
    )  # what the other node knew is not older than five seconds
    await pair.there.refresh()
    assert await pair.pull_there(headers) == 401


async def test_a_bearer_token_keeps_what_a_demoted_member_may_still_do_s14(pair: Pair) -> None:
    headers = await pair.bearer_from(pair.here, pair.name, _PASSWORD)

    await pair.change("PUT", f"projects/{pair.project}/members/{pair.member}", {"role_id": _LIMITED_GUEST})

    assert await pair.begin_push_there(headers) == 202  # which makes the repository
    await pair.there.refresh()
    assert (await pair.pull_there(headers), await pair.begin_push_there(headers)) == (200, 401)


async def test_bearer_tokens_stay_good_when_somebody_else_becomes_a_member_t14(pair: Pair) -> None:
    own = await pair.bearer_from(pair.here, pair.name, _PASSWORD)
    robots = await pair.bearer_from(pair.here, *(await pair.robot())[1:])
    bob = await pair.make("users", {"username": f"bob-{pair.number}", "password": _PASSWORD})

    await pair.make(f"projects/{pair.project}/members", {"role_id": 2, "member_user": {"user_id": bob}})

    await pair.there.refresh()
    assert (await pair.pull_there(robots), await pair.begin_push_there(own)) == (_MISSING, 202)


async def test_an_access_tokens_bearer_token_gains_no_right_of_its_persons_when_a_project_changes_s15(
    pair: Pair,
) -> None:
    """She may create repositories as an administrator of the project; her access token could as one that may push."""
    limits = ["repository:pull", "repository:push"]
    settings = f"projects/{pair.project}"
    await pair.change("PUT", settings, {"metadata": {"repository_creation": "developers"}})
    own = await pair.here.own(pair.name, _PASSWORD)
    made = await pair.here.accounts.access_tokens.create(own, NewAccessToken("ci", limits))
    await pair.there.refresh()
    headers = await pair.bearer_from(pair.here, pair.name, made.secret)

    await pair.change("PUT", settings, {"metadata": {"repository_creation": "operators"}})

    await pair.there.refresh()
    assert (await pair.pull_there(headers), await pair.begin_push_there(headers)) == (_MISSING, 403)


async def test_a_project_made_anew_is_open_to_old_tokens_only_as_far_as_it_is_to_their_owners_s7(
    pair: Pair,
) -> None:
    headers = await pair.bearer_from(pair.here, pair.name, _PASSWORD)

    await pair.change("DELETE", f"projects/{pair.project}")
    assert (await pair.here.api("POST", "projects", {"project_name": pair.project})).status == 201

    await pair.there.refresh()
    assert (await pair.pull_there(headers), await pair.begin_push_there(headers)) == (401, 401)
    metadata = {"public": "true"}
    await pair.change("PUT", f"projects/{pair.project}", {"metadata": metadata})
    await pair.there.refresh()
    assert (await pair.pull_there(headers), await pair.begin_push_there(headers)) == (_MISSING, 401)


async def test_a_remembered_password_is_refused_by_the_other_node_after_one_look_s14(pair: Pair) -> None:
    assert await pair.pull_there(basic(pair.name, _PASSWORD)) == _MISSING

    await pair.disable_alice()

    assert await pair.pull_there(basic(pair.name, _PASSWORD)) == _MISSING
    await pair.there.refresh()
    assert await pair.pull_there(basic(pair.name, _PASSWORD)) == 401


async def test_a_remembered_decision_is_dropped_by_the_other_node_after_one_look_s14(pair: Pair) -> None:
    assert await pair.pull_there(basic(pair.name, _PASSWORD)) == _MISSING

    await pair.change("DELETE", f"projects/{pair.project}/members/{pair.member}")

    await pair.there.refresh()
    assert await pair.pull_there(basic(pair.name, _PASSWORD)) == 403


async def test_a_removed_access_token_is_refused_by_the_other_node_after_one_look_s14(pair: Pair) -> None:
    own = await pair.here.own(pair.name, _PASSWORD)
    made = await pair.here.accounts.access_tokens.create(own, NewAccessToken("laptop"))
    assert await pair.pull_there(basic(pair.name, made.secret)) == _MISSING

    await pair.here.accounts.access_tokens.delete_own(OwnCredentialGrant(own.principal), made.token.public_id)

    await pair.there.refresh()
    assert await pair.pull_there(basic(pair.name, made.secret)) == 401
    assert (await pair.there.token(pair.scopes, basic(pair.name, made.secret))).status == 401


@pytest.mark.parametrize("change", ["disable", "rotate", "delete"])
async def test_a_robot_is_refused_by_the_other_node_after_one_look_s14(pair: Pair, change: str) -> None:
    number, name, secret = await pair.robot()
    issued = await pair.bearer_from(pair.here, name, secret)
    assert await pair.pull_there(basic(name, secret)) == _MISSING

    if change == "disable":
        await pair.change("PUT", f"robots/{number}", {"disable": True})
    elif change == "rotate":
        await pair.change("PATCH", f"robots/{number}", {})
    else:
        await pair.change("DELETE", f"robots/{number}")

    await pair.there.refresh()
    assert await pair.pull_there(basic(name, secret)) == 401
    assert await pair.pull_there(issued) == 401
    assert (await pair.there.token(pair.scopes, basic(name, secret))).status == 401


async def test_a_robot_and_its_tokens_stop_with_the_person_who_answers_for_it_s9_s14(pair: Pair) -> None:
    _, name, secret = await pair.robot()
    issued = await pair.bearer_from(pair.here, name, secret)
    assert await pair.pull_there(basic(name, secret)) == _MISSING

    await pair.disable_alice()

    await pair.there.refresh()
    assert await pair.pull_there(issued) == 401
    assert await pair.pull_there(basic(name, secret)) == 403


@pytest.mark.parametrize("change", ["disable", "reset", "delete"])
async def test_refresh_tokens_and_sessions_end_on_the_other_node_at_once_s14(pair: Pair, change: str) -> None:
    reply = await pair.here.token(pair.scopes, basic(pair.name, _PASSWORD), offline=True)
    refresh_token = json.loads(reply.body)["refresh_token"]
    login = {"username": pair.name, "password": _PASSWORD}
    reply = await pair.here.api("POST", "sessions", login, {})
    cookie = {"Cookie": reply.headers["set-cookie"].partition(";")[0]}
    assert (await pair.there.redeem(refresh_token, pair.scopes)).status == 200
    assert (await pair.there.api("GET", "users/current", None, cookie)).status == 200

    if change == "disable":
        await pair.disable_alice()
    elif change == "reset":
        await pair.change("PUT", f"users/{pair.alice}/password", {"new_password": _OTHER})
    else:
        await pair.change("DELETE", f"users/{pair.alice}")

    assert (await pair.there.redeem(refresh_token, pair.scopes)).status == 401
    assert (await pair.there.api("GET", "users/current", None, cookie)).status == 401


async def test_a_session_that_is_ended_here_is_over_there_at_once_s14(pair: Pair) -> None:
    reply = await pair.here.api("POST", "sessions", {"username": pair.name, "password": _PASSWORD}, {})
    cookie = {"Cookie": reply.headers["set-cookie"].partition(";")[0]}
    session = reply.headers["location"].rpartition("/")[2]
    assert (await pair.there.api("GET", "users/current", None, cookie)).status == 200

    reply = await pair.here.api("DELETE", f"sessions/{session}", None, basic(pair.name, _PASSWORD))

    assert reply.status == 200
    assert (await pair.there.api("GET", "users/current", None, cookie)).status == 401


@pytest.mark.parametrize("change", ["leave", "delete-group", "take-role"])
async def test_whoever_leaves_a_group_loses_its_rights_on_the_other_node_after_one_look_s13(
    pair: Pair, change: str
) -> None:
    bob_name = f"bob-{pair.number}"
    bob = await pair.make("users", {"username": bob_name, "password": _PASSWORD})
    group = await pair.make("usergroups", {"group_name": f"crew-{pair.number}", "group_type": 2})
    groups, assignments = pair.here.accounts.groups, pair.here.accounts.role_assignments
    grant = await pair.here.system(UpdateUserGroup)
    await groups.add_member(grant, group, bob)
    role = await assignments.give(await pair.here.system(CreateRoleAssignment), group, "developer")
    await pair.there.refresh()
    issued = await pair.bearer_from(pair.here, bob_name, _PASSWORD)
    assert await pair.pull_there(basic(bob_name, _PASSWORD)) == _MISSING

    if change == "leave":
        await groups.replace_members(grant, group, [pair.alice])
    elif change == "delete-group":
        await pair.change("DELETE", f"usergroups/{group}")
    else:
        await assignments.take(await pair.here.system(DeleteRoleAssignment), role)

    await pair.there.refresh()
    assert await pair.pull_there(issued) == 401
    assert await pair.pull_there(basic(bob_name, _PASSWORD)) == 403


async def test_a_role_on_the_system_that_is_taken_here_is_gone_there_after_one_look_s14(pair: Pair) -> None:
    await pair.change("PUT", f"users/{pair.alice}/sysadmin", {"sysadmin_flag": True})
    await pair.there.refresh()
    assert (await pair.there.api("GET", "users", None, basic(pair.name, _PASSWORD))).status == 200

    await pair.change("PUT", f"users/{pair.alice}/sysadmin", {"sysadmin_flag": False})

    await pair.there.refresh()
    assert (await pair.there.api("GET", "users", None, basic(pair.name, _PASSWORD))).status == 403


async def test_the_other_node_verifies_with_a_new_key_and_refuses_with_a_revoked_one_t13(pair: Pair) -> None:
    keys = SigningKeys(pair.here.metadata, await open_sealing(pair.settings, pair.here.metadata), "token")
    host = Principal("host:root", "", forwarded=False, kind="host")
    old = await pair.bearer_from(pair.here, pair.name, _PASSWORD)
    await pair.database.fetch("UPDATE signing_keys SET created_at = created_at - 61000")

    rotated = await keys.rotate(host)
    await keys.refresh(pair.here.identity.token_ring)
    young = await pair.bearer_from(
        pair.here, pair.name, _PASSWORD
    )  # the other node was not told of the rotation

    assert _key_of(young) == rotated != _key_of(old)
    await keys.refresh(pair.there.identity.token_ring)
    assert (await pair.pull_there(old), await pair.pull_there(young)) == (_MISSING, _MISSING)

    await keys.revoke(host, rotated)
    await keys.refresh(pair.there.identity.token_ring)

    assert (await pair.pull_there(old), await pair.pull_there(young)) == (_MISSING, 401)
    assert _key_of(await pair.bearer_from(pair.there, pair.name, _PASSWORD)) not in {_key_of(old), rotated}


def _key_of(headers: dict[str, str]) -> str:
    encoded = headers["Authorization"].partition(" ")[2].partition(".")[0]
    header: dict[str, str] = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    return header["kid"]
