"""The token service as clients call it: by query and by form, with and without credentials, for whatever scope."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import msgspec
import pytest

from entrepot.auth.grants import SelfGrant
from entrepot.auth.principals import CredentialLimits
from entrepot.kernel.rate_budget import RateBudget
from tests.asgi.client import AsgiClient
from tests.asgi.identity import (
    ALICE,
    SERVICE,
)
from tests.integration.token_serving import BASIC, EVERYTHING, FORM, PULL, TokenServing, server

__all__ = ["server"]


async def test_a_token_is_given_under_both_names_and_tells_its_life_t8(server: TokenServing) -> None:
    reply = await server.get("scope=repository:team/app:pull", BASIC)

    body = json.loads(reply.body)
    assert body["token"] == body["access_token"]
    assert body["expires_in"] == 300
    assert body["issued_at"] == "2027-01-15T08:00:00Z"
    assert set(body) == {"token", "access_token", "expires_in", "issued_at"}
    assert (reply.headers["cache-control"], reply.headers["content-type"]) == ("no-store", "application/json")


@pytest.mark.parametrize(
    "query",
    [
        "scope=repository:team/app:pull,push&scope=repository:team/base:pull",
        "scope=repository:team/app:pull,push+repository:team/base:pull",
        "scope=repository:team/base:pull%20repository:team/app:push,pull",
    ],
)
async def test_scopes_come_repeated_or_joined_t5(server: TokenServing, query: str) -> None:
    reply = await server.get(query, BASIC)

    assert server.access(reply) == {
        "team/app": {"pull", "push", "create", "overwrite"},
        "team/base": {"pull"},
    }


async def test_less_than_was_asked_for_is_no_error_t6(server: TokenServing) -> None:
    reply = await server.get("scope=repository:team/base:pull,push,delete", BASIC)
    assert server.access(reply) == {"team/base": {"pull"}}

    for scope in ("repository:other/app:pull", "repository:nowhere/app:pull", "nonsense:x:pull", "nonsense"):
        assert server.access(await server.get(f"scope={scope}", BASIC)) == {}


async def test_every_action_is_every_action_that_is_allowed_t4(server: TokenServing) -> None:
    assert server.access(await server.get("scope=repository:team/app:*", BASIC)) == {
        "team/app": set(EVERYTHING)
    }
    assert server.access(await server.get("scope=repository:team/base:*", BASIC)) == {"team/base": {"pull"}}


async def test_our_own_actions_come_with_push_only(server: TokenServing) -> None:
    reply = await server.get("scope=repository:team/app:pull,delete", BASIC)
    assert server.access(reply) == {"team/app": {"pull", "delete"}}

    reply = await server.get("scope=repository:team/app:pull,create,overwrite", BASIC)
    assert server.access(reply) == {"team/app": {"pull"}}


async def test_the_catalog_is_for_those_who_may_read_it(server: TokenServing) -> None:
    assert server.access(await server.get("scope=registry:catalog:*", BASIC)) == {}
    server.rights.registry["alice-id"] = frozenset({"catalog:read"})

    assert server.access(await server.get("scope=registry:catalog:*", BASIC)) == {"*": {"catalog"}}


async def test_anonymous_gets_what_is_public_t7(server: TokenServing) -> None:
    reply = await server.get("scope=repository:team/base:pull,push&scope=repository:team/app:pull")

    assert server.access(reply) == {"team/base": {"pull"}}
    assert await server.audit() == []


async def test_anonymous_that_asks_for_nothing_is_refused_t7(server: TokenServing) -> None:
    reply = await server.get(f"service={SERVICE}")

    assert (reply.status, reply.error_code()) == (401, "UNAUTHORIZED")
    assert reply.headers["www-authenticate"].startswith("Basic ")


async def test_a_login_asks_for_nothing_and_succeeds_t7(server: TokenServing) -> None:
    assert server.access(await server.get(f"service={SERVICE}&account=alice", BASIC)) == {}


async def test_the_account_that_is_named_has_no_say(server: TokenServing) -> None:
    reply = await server.get("account=root&scope=repository:team/app:pull", BASIC)

    assert server.tokens.verify(json.loads(reply.body)["token"]).principal.name == "alice"


@pytest.mark.parametrize(
    "authorization",
    [
        f"Basic {base64.b64encode(b'alice:wrong').decode()}",
        f"Basic {base64.b64encode(b'nobody:s3cret').decode()}",
        "Basic !!!",
        "Basic",
        "Bearer abc",
        "Negotiate abc",
        "",
    ],
)
async def test_bad_credentials_are_no_anonymous_ones_t6(server: TokenServing, authorization: str) -> None:
    reply = await server.get("scope=repository:team/base:pull", {"Authorization": authorization})

    assert (reply.status, reply.error_code()) == (401, "UNAUTHORIZED")
    assert b'token":' not in reply.body


async def test_unknown_and_wrong_read_alike_s19(server: TokenServing) -> None:
    replies = [
        await server.get("", {"Authorization": f"Basic {base64.b64encode(pair).decode()}"})
        for pair in (b"alice:wrong", b"nobody:wrong")
    ]

    assert replies[0].body == replies[1].body


async def test_a_form_with_a_password_gets_a_token_t9(server: TokenServing) -> None:
    reply = await server.post(
        grant_type="password",
        username="alice",
        password="s3cret",
        scope="repository:team/app:push,pull repository:team/base:pull",
    )

    body = json.loads(reply.body)
    assert body["scope"] == "repository:team/app:pull,push repository:team/base:pull"
    assert body["access_token"] == body["token"]
    assert body["expires_in"] == 300
    assert "refresh_token" not in body
    assert server.access(reply)["team/base"] == {"pull"}


async def test_a_form_with_a_wrong_password_is_an_invalid_grant_t9(server: TokenServing) -> None:
    reply = await server.post(grant_type="password", username="alice", password="wrong")

    assert (reply.status, json.loads(reply.body)["error"]) == (401, "invalid_grant")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": ""}, "invalid_request"),
        *(({"grant_type": "password", name: ""}, "invalid_request") for name in ("service", "client_id")),
        ({"grant_type": "password", "username": "alice"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_id": "a\0"}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        (
            {"grant_type": "password", "username": "alice", "password": "s3cret", "scope": "x " * 101},
            "invalid_scope",
        ),
    ],
)
async def test_a_form_that_lacks_something_is_refused_t9(
    server: TokenServing, fields: dict[str, str], error: str
) -> None:
    reply = await server.post(**fields)

    assert (reply.status, json.loads(reply.body)["error"]) == (400, error)
    assert server.people.asked == []


async def test_a_body_of_another_kind_or_size_is_refused_t9(server: TokenServing) -> None:
    as_json = await server.client.request(
        "POST", "/service/token", {"Content-Type": "application/json"}, (b"{}",)
    )
    too_large = await server.client.request("POST", "/service/token", FORM, (b"a=" + b"x" * 40_000,))

    assert (as_json.status, too_large.status) == (400, 413)


async def test_a_refresh_token_is_given_on_demand_and_good_again_and_again_t9(server: TokenServing) -> None:
    first = await server.post(
        grant_type="password", username="alice", password="s3cret", access_type="offline"
    )
    refresh_token = json.loads(first.body)["refresh_token"]
    assert re.fullmatch(r"epr_[A-Za-z0-9_-]{43}", refresh_token)

    for _ in range(2):
        again = await server.post(
            grant_type="refresh_token", refresh_token=refresh_token, scope="repository:team/app:pull"
        )
        assert server.access(again) == {"team/app": {"pull"}}
        assert json.loads(again.body)["refresh_token"] == refresh_token


async def test_docker_login_gets_its_refresh_token_by_query_t10(server: TokenServing) -> None:
    reply = await server.get(f"account=alice&client_id=docker&offline_token=true&service={SERVICE}", BASIC)

    refresh_token = json.loads(reply.body)["refresh_token"]
    rows = await server.database.fetch(
        "SELECT secret_hash, credential, service, client_id, subject_epoch FROM refresh_tokens"
    )
    assert rows == [(hashlib.sha256(refresh_token.encode()).hexdigest(), "", SERVICE, "docker", 3)]


async def test_anonymous_gets_no_refresh_token_t10(server: TokenServing) -> None:
    reply = await server.get("offline_token=true&scope=repository:team/base:pull")

    assert "refresh_token" not in json.loads(reply.body)


async def _refresh_token(server: TokenServing) -> str:
    reply = await server.get("offline_token=true&client_id=docker", BASIC)
    return str(json.loads(reply.body)["refresh_token"])


async def _refused(server: TokenServing, refresh_token: str, **fields: str) -> bool:
    reply = await server.post(grant_type="refresh_token", refresh_token=refresh_token, **fields)
    return reply.status == 401 and json.loads(reply.body)["error"] == "invalid_grant"


async def test_a_refresh_token_dies_with_any_change_of_its_subject_s14(server: TokenServing) -> None:
    refresh_token = await _refresh_token(server)
    await server.database.fetch("UPDATE subjects SET epoch = 4")

    assert await _refused(server, refresh_token)
    body = json.loads(server.notes.records[-1].body)
    assert (body["user.id"], body["object"]["kind"]) == ("alice-id", "refresh-token")


async def test_a_refresh_token_of_a_disabled_subject_is_refused_s14(server: TokenServing) -> None:
    refresh_token = await _refresh_token(server)
    await server.database.fetch("UPDATE subjects SET disabled_at = 1")

    assert await _refused(server, refresh_token)


async def test_a_refresh_token_is_revoked_with_its_row_t10(server: TokenServing) -> None:
    refresh_token = await _refresh_token(server)
    await server.database.fetch("DELETE FROM refresh_tokens")

    assert await _refused(server, refresh_token)


async def test_a_refusal_of_a_refresh_token_is_noted_i11(server: TokenServing) -> None:
    assert await _refused(server, "epr_" + "x" * 43)

    (record,) = server.notes.records
    body = json.loads(record.body)
    assert (body["event.action"], body["event.outcome"]) == ("token.issue", "failure")
    assert (body["http.response.status_code"], record.address) == (401, "127.0.0.1")
    assert b"xxxx" not in record.body


async def test_the_use_of_a_refresh_token_is_noted_t10(server: TokenServing) -> None:
    refresh_token = await _refresh_token(server)
    await server.post(grant_type="refresh_token", refresh_token=refresh_token)

    assert await server.database.value("SELECT last_used_at FROM refresh_tokens") > 1_600_000_000_000
    assert (await server.audit())[-1]["change"]["after"]["refresh_token"] == "used"


async def test_one_can_revoke_all_of_ones_refresh_tokens_t10(server: TokenServing) -> None:
    refresh_tokens = [await _refresh_token(server) for _ in range(2)]

    assert await server.refresh_tokens.revoke_all(SelfGrant(ALICE)) == 2

    assert [await _refused(server, one) for one in refresh_tokens] == [True, True]
    assert (await server.audit())[-1]["event.action"] == "token.revoke"


async def test_a_refresh_token_is_good_for_its_service_only_t10(server: TokenServing) -> None:
    refresh_token = await _refresh_token(server)
    await server.database.fetch("UPDATE refresh_tokens SET service = 'another'")

    assert await _refused(server, refresh_token)
    reply = await server.post(grant_type="refresh_token", refresh_token=refresh_token, service="another")
    assert (reply.status, json.loads(reply.body)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "text", ["epr_", "ept_" + "x" * 43, "epr_" + "x" * 43, "x" * 9000, "epr_" + "é" * 43]
)
async def test_what_is_no_refresh_token_is_refused_t10(server: TokenServing, text: str) -> None:
    assert await _refused(server, text)


async def test_a_weak_credential_stays_weak_in_every_form_s15(server: TokenServing) -> None:
    limits = CredentialLimits("token-7", frozenset({"repository:pull"}), frozenset({"team"}))
    weak = msgspec.structs.replace(ALICE, limits=limits)
    server.people.by_secret["alice", "ept_x"] = weak
    server.people.subjects["alice-id", "token-7"] = weak
    basic = {"Authorization": f"Basic {base64.b64encode(b'alice:ept_x').decode()}"}
    everything = "repository:team/app:pull,push,delete"

    by_query = await server.get(f"offline_token=true&scope={everything}", basic)
    by_form = await server.post(grant_type="password", username="alice", password="ept_x", scope=everything)
    refreshed = await server.post(
        grant_type="refresh_token",
        refresh_token=json.loads(by_query.body)["refresh_token"],
        scope=everything,
    )

    for reply in (by_query, by_form, refreshed):
        assert server.access(reply) == {"team/app": {"pull"}}
        principal = server.tokens.verify(json.loads(reply.body)["token"]).principal
        assert principal.limits is not None
        assert principal.limits.credential == "token-7"


async def test_a_refresh_token_dies_with_the_access_token_behind_it_s15(server: TokenServing) -> None:
    server.people.by_secret["alice", "ept_x"] = msgspec.structs.replace(
        ALICE, limits=CredentialLimits("token-7")
    )
    basic = {"Authorization": f"Basic {base64.b64encode(b'alice:ept_x').decode()}"}
    reply = await server.get("offline_token=true", basic)

    assert await _refused(server, json.loads(reply.body)["refresh_token"])


async def test_a_password_that_must_be_changed_opens_nothing_else_s17(server: TokenServing) -> None:
    server.people.by_secret["alice", "s3cret"] = msgspec.structs.replace(ALICE, must_change_password=True)

    by_query = await server.get("scope=repository:team/app:pull", BASIC)
    by_form = await server.post(grant_type="password", username="alice", password="s3cret")

    assert (by_query.status, by_query.error_code()) == (403, "DENIED")
    assert b"/api/v2.0/users/" in by_query.body
    assert by_form.status == 403
    assert "changed first" in json.loads(by_form.body)["error_description"]
    assert [(note.action, note.subject, note.outcome) for note in server.notes.records] == [
        ("token.issue", "alice-id", "failure")
    ] * 2


async def test_a_locked_account_is_told_when_to_come_back_t17(server: TokenServing) -> None:
    server.people.locked.add("alice")

    by_query = await server.get("", BASIC)
    by_form = await server.post(grant_type="password", username="alice", password="s3cret")

    assert (by_query.status, by_query.error_code()) == (429, "TOOMANYREQUESTS")
    assert (by_query.headers["retry-after"], by_form.headers["retry-after"]) == ("77", "77")
    assert by_form.status == 429


async def test_another_service_is_none_of_ours(server: TokenServing) -> None:
    asked = "scope=repository:team/app:pull&service="
    assert (await server.get(asked + "elsewhere", BASIC)).status == 400
    assert server.access(await server.get(asked + "harbor-registry", BASIC)) == {"team/app": {"pull"}}


async def test_no_secret_is_recorded_s27(server: TokenServing) -> None:
    replies = [await server.get("offline_token=true", BASIC)]
    refresh_token = json.loads(replies[0].body)["refresh_token"]
    replies.append(await server.post(grant_type="refresh_token", refresh_token=refresh_token))
    secrets = ["s3cret", refresh_token, *(json.loads(reply.body)["token"] for reply in replies)]

    stored = (server.database.path.read_bytes()) + b"".join(
        path.read_bytes() for path in server.database.path.parent.glob("*-wal")
    )
    assert [secret for secret in secrets if secret.encode() in stored] == []


async def test_a_token_carries_the_epochs_it_was_decided_under_s14(server: TokenServing) -> None:
    reply = await server.get("scope=repository:team/app:pull+repository:other/app:pull", BASIC)

    verified = server.tokens.verify(json.loads(reply.body)["token"])
    assert verified.project_epochs == {"team": 5}
    assert verified.principal.epoch == 3


async def test_the_key_set_holds_both_keys_t13(server: TokenServing) -> None:
    reply = await server.client.request("GET", "/service/token/jwks.json")

    keys = json.loads(reply.body)["keys"]
    assert [key["kid"] for key in keys] == [key.key_id for key in server.keys]
    assert {key["alg"] for key in keys} == {"ES256"}
    assert {name for key in keys for name in key} == {"kty", "crv", "x", "y", "use", "alg", "kid"}


async def test_no_more_is_asked_than_what_may_be_done_in_each_repository_f41_s19(
    server: TokenServing,
) -> None:
    """As much where there is no such project, so that no time tells."""
    names = ("team/a", "team/b", "missing/a")
    assert (await server.get("&".join(f"scope=repository:{name}:pull" for name in names), {})).status == 200
    assert ([name for _, name in server.rights.asked], server.rights.looked_at) == (list(names), [])


@pytest.mark.parametrize("order", ["app lib", "lib app"])
async def test_of_two_decisions_in_a_project_the_older_is_what_counts_s14(
    server: TokenServing, order: str
) -> None:
    """One may be remembered from before a move that this process has not heard of yet."""
    server.rights.actions["alice-id", "team/lib"] = frozenset({"pull"})
    server.rights.epochs_by_repository["team/lib"] = 4

    reply = await server.get("&".join(f"scope=repository:team/{one}:pull" for one in order.split()), BASIC)
    assert server.tokens.verify(json.loads(reply.body)["token"]).project_epochs == {"team": 4}


async def test_the_addresses_of_one_subscriber_in_ipv6_have_one_rate_t17(server: TokenServing) -> None:
    application: Any = server.client.application
    application._service._rate = RateBudget(2)

    statuses = [
        (await AsgiClient(application, f"2001:db8:0:{network}::{host}").request("GET", PULL, BASIC)).status
        for network, host in ((7, 1), (7, 2), (7, 3), (8, 1))
    ]

    assert statuses == [200, 200, 429, 200]
