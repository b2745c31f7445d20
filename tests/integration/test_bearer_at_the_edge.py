"""Tokens at `/v2/` of a real registry: challenges, pushes that outlive them, and what never leaves the registry."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from entrepot.audit.direct_notes import DirectNotes
from entrepot.audit.ecs import ecs_fields
from entrepot.auth.bearer.bearer_tokens import BearerTokens
from entrepot.auth.keys.key_pairs import SigningKey
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.distribution_api.admission import Admission, AdmissionLimits
from entrepot.distribution_api.application import DistributionApplication
from entrepot.distribution_api.audit import EdgeAudit
from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.challenges import Challenges
from entrepot.distribution_api.credentials import Identification
from entrepot.kernel.address_budget import AddressBudget
from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery
from tests.asgi.client import AsgiClient
from tests.asgi.identity import (
    ALICE,
    ISSUER,
    SERVICE,
    AccessAuthorizer,
    Clock,
    KnownPeople,
    KnownRights,
    SettableEpochs,
    ring_of,
)
from tests.asgi.services import in_process_registry, scratch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.auth.keys.key_ring import KeyRing
    from tests.asgi.services import InProcessRegistry

pytestmark = pytest.mark.usefixtures("calm_disk")

_REALM = 'Bearer realm="http://127.0.0.1:5000/service/token",service="registry.example"'
_BLOB = b"a layer"
_DIGEST = f"sha256:{hashlib.sha256(_BLOB).hexdigest()}"
_PUSH = frozenset({"pull", "push", "create", "overwrite"})
_BASIC = {"Authorization": f"Basic {base64.b64encode(b'alice:s3cret').decode()}"}


@dataclass(frozen=True, slots=True)
class Edge:
    """A registry with accounts."""

    client: AsgiClient
    registry: InProcessRegistry
    tokens: BearerTokens
    ring: KeyRing
    key: SigningKey
    clock: Clock
    epochs: SettableEpochs
    people: KnownPeople
    rights: KnownRights

    def bearer(self, actions: frozenset[str], *names: str) -> dict[str, str]:
        """Return the header with a token of alice's."""
        token = self.tokens.issue(ALICE, dict.fromkeys(names or ("team/app",), actions), {"team": 5}).token
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """Return a registry that decides by tokens."""
    clock, key, people, rights, epochs = (
        Clock(),
        SigningKey.generate(),
        KnownPeople(),
        KnownRights(),
        SettableEpochs(),
    )
    ring = ring_of(clock, key)
    tokens = BearerTokens(ring, ISSUER, SERVICE, 300)
    challenges = Challenges("", "http://127.0.0.1:5000", "/service/token", SERVICE)
    async with in_process_registry(scratch_settings(tmp_path)) as registry:
        # With accounts, projects are there before anything is pushed to them.
        await registry.stores.metadata.write(
            lambda tx: tx.repositories.ensure("team/first", "team", "host:a")
        )
        services = dataclasses.replace(registry.services, authorizer=AccessAuthorizer(rights))
        application = DistributionApplication(
            services,
            Admission(AdmissionLimits(10, 10, 10, 1.0), AddressBudget(100)),
            PaceLimits(0, 10, 60),
            audit=EdgeAudit(DirectNotes(registry.stores.metadata), services.project_numbers),
            identification=Identification(people, tokens, epochs, rights, challenges),
        )
        yield Edge(AsgiClient(application), registry, tokens, ring, key, clock, epochs, people, rights)


async def test_a_ping_without_credentials_is_challenged_t1(edge: Edge) -> None:
    reply = await edge.client.request("GET", "/v2/")

    assert (reply.status, reply.error_code()) == (401, "UNAUTHORIZED")
    assert reply.headers["www-authenticate"] == _REALM
    assert reply.headers["docker-distribution-api-version"] == "registry/2.0"


async def test_a_head_is_challenged_without_a_body_t16(edge: Edge) -> None:
    reply = await edge.client.request("HEAD", "/v2/team/app/manifests/latest")

    assert (reply.status, reply.body) == (401, b"")
    assert reply.headers["www-authenticate"] == f'{_REALM},scope="repository:team/app:pull"'


async def test_a_token_opens_the_ping_t1(edge: Edge) -> None:
    assert (await edge.client.request("GET", "/v2/", edge.bearer(frozenset()))).status == 200
    assert (await edge.client.request("GET", "/v2/", _BASIC)).status == 200


async def test_a_valid_token_that_lacks_the_scope_is_challenged_and_not_denied_t16(edge: Edge) -> None:
    reply = await edge.client.request("POST", "/v2/team/app/blobs/uploads/", edge.bearer(frozenset({"pull"})))

    assert (reply.status, reply.error_code()) == (401, "UNAUTHORIZED")
    assert reply.headers["www-authenticate"] == (
        f'{_REALM},scope="repository:team/app:pull,push",error="insufficient_scope"'
    )


async def test_a_bad_token_is_told_so_with_the_scope_it_would_need_t2(edge: Edge) -> None:
    reply = await edge.client.request(
        "GET", "/v2/team/app/manifests/latest", {"Authorization": "Bearer x.y.z"}
    )

    assert reply.status == 401
    assert reply.headers["www-authenticate"] == (
        f'{_REALM},scope="repository:team/app:pull",error="invalid_token"'
    )


async def test_a_token_is_good_for_exactly_the_repository_it_names_t11(edge: Edge) -> None:
    headers = edge.bearer(_PUSH, "team/app")

    for name in ("team/ap", "team/app2", "team", "team/app/x", "app"):
        reply = await edge.client.request("POST", f"/v2/{name}/blobs/uploads/", headers)
        assert reply.status == 401, name
    assert (await edge.client.request("POST", "/v2/team/app/blobs/uploads/", headers)).status == 202


async def test_basic_without_the_right_is_denied_and_not_challenged_t15_s19(edge: Edge) -> None:
    missing = await edge.client.request("GET", "/v2/nowhere/app/tags/list", _BASIC)
    private = await edge.client.request("GET", "/v2/other/app/tags/list", _BASIC)

    assert (missing.status, missing.error_code()) == (403, "DENIED")
    assert (private.status, private.body) == (403, missing.body)
    assert "www-authenticate" not in missing.headers


async def test_wrong_basic_credentials_are_challenged_t15(edge: Edge) -> None:
    wrong = {"Authorization": f"Basic {base64.b64encode(b'alice:wrong').decode()}"}

    reply = await edge.client.request("GET", "/v2/", wrong)

    assert (reply.status, reply.headers["www-authenticate"]) == (401, _REALM)


async def test_a_locked_account_is_told_when_to_come_back_t17(edge: Edge) -> None:
    edge.people.locked.add("alice")

    reply = await edge.client.request("GET", "/v2/", _BASIC)

    assert (reply.status, reply.error_code(), reply.headers["retry-after"]) == (429, "TOOMANYREQUESTS", "77")


async def test_a_mount_is_challenged_for_both_repositories_t12(edge: Edge) -> None:
    reply = await edge.client.request("POST", f"/v2/team/app/blobs/uploads/?mount={_DIGEST}&from=team/base")

    assert reply.status == 401
    assert (
        'scope="repository:team/app:pull,push repository:team/base:pull"' in reply.headers["www-authenticate"]
    )


async def test_a_mount_needs_both_repositories_in_the_token_t12(edge: Edge) -> None:
    base = edge.bearer(_PUSH, "team/base")
    assert (
        await edge.client.request("POST", f"/v2/team/base/blobs/uploads/?digest={_DIGEST}", base, (_BLOB,))
    ).status == 201
    target = f"/v2/team/app/blobs/uploads/?mount={_DIGEST}&from=team/base"

    assert (await edge.client.request("POST", target, edge.bearer(_PUSH, "team/app"))).status == 202
    both = edge.bearer(_PUSH, "team/app", "team/base")
    assert (await edge.client.request("POST", target, both)).status == 201


async def test_a_push_outlives_its_token_t14(edge: Edge) -> None:
    first = edge.bearer(_PUSH)
    begun = await edge.client.request("POST", "/v2/team/app/blobs/uploads/", first)
    location = begun.headers["location"]
    assert (await edge.client.request("PATCH", location, first, (_BLOB,))).status == 202

    edge.clock.seconds += 361
    edge.ring.install(edge.key, {edge.key.key_id: edge.key.public}, edge.clock.seconds)
    late = await edge.client.request("PUT", f"{location}?digest={_DIGEST}", first)
    assert late.status == 401
    assert 'scope="repository:team/app:pull,push",error="invalid_token"' in late.headers["www-authenticate"]

    done = await edge.client.request("PUT", f"{location}?digest={_DIGEST}", edge.bearer(_PUSH))
    assert done.status == 201


async def test_a_push_by_a_client_whose_clock_is_behind_is_not_broken_off_t8_t14(edge: Edge) -> None:
    """It takes its token for good until the end that it was told, by its own clock; skopeo's kind asks for no other."""
    behind_seconds = 45
    headers = edge.bearer(_PUSH)
    location = (await edge.client.request("POST", "/v2/team/app/blobs/uploads/", headers)).headers["location"]

    edge.clock.seconds += 300 + behind_seconds
    edge.ring.install(edge.key, {edge.key.key_id: edge.key.public}, edge.clock.seconds)

    assert (await edge.client.request("PATCH", location, headers, (_BLOB,))).status == 202
    assert (await edge.client.request("PUT", f"{location}?digest={_DIGEST}", headers)).status == 201


@pytest.mark.parametrize("holder", [ALICE, Principal(ANONYMOUS, "127.0.0.1", forwarded=False)])
async def test_the_record_of_a_token_that_was_good_once_says_whose_it_is_i11(
    edge: Edge, holder: Principal
) -> None:
    """Nobody's is nobody's: whoever has one of these is counted among those who present junk."""
    token = edge.tokens.issue(holder, {"team/app": frozenset({"pull"})}, {"team": 5}).token
    edge.clock.seconds += 361
    edge.ring.install(edge.key, {edge.key.key_id: edge.key.public}, edge.clock.seconds)

    reply = await edge.client.request("GET", "/v2/team/app/tags/list", {"Authorization": f"Bearer {token}"})

    assert reply.status == 401
    query = AuditPageQuery(AuditFilter(), 100, 0, "newer")
    (row,) = await edge.registry.stores.metadata.audit.page(query)
    noted = ecs_fields(row.at, row.body, row.disclosure)
    assert (noted["user.id"], noted["event.reason"]) == (holder.subject, "it has expired")
    assert noted["source.ip"] == "127.0.0.1"
    assert "alice" not in str(noted.get("user.name", ""))  # who may have been erased meanwhile


async def test_a_push_spans_the_rotation_of_keys_t13(edge: Edge) -> None:
    headers = edge.bearer(_PUSH)
    location = (await edge.client.request("POST", "/v2/team/app/blobs/uploads/", headers)).headers["location"]
    following = SigningKey.generate()

    edge.ring.install(
        following, {one.key_id: one.public for one in (edge.key, following)}, edge.clock.seconds
    )
    assert (await edge.client.request("PATCH", location, headers, (_BLOB,))).status == 202

    edge.ring.install(following, {following.key_id: following.public}, edge.clock.seconds)  # revoked
    assert (await edge.client.request("PUT", f"{location}?digest={_DIGEST}", headers)).status == 401
    anew = edge.bearer(_PUSH)
    assert (await edge.client.request("PUT", f"{location}?digest={_DIGEST}", anew)).status == 201


async def test_an_issued_token_dies_with_its_epochs_s14(edge: Edge) -> None:
    headers = edge.bearer(frozenset({"pull"}))
    assert (await edge.client.request("GET", "/v2/", headers)).status == 200

    edge.epochs.subjects["alice-id"] = 4

    reply = await edge.client.request("GET", "/v2/", headers)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, f'{_REALM},error="invalid_token"')


async def test_a_push_goes_on_when_somebody_elses_rights_in_the_project_change_t14_s14(edge: Edge) -> None:
    headers = edge.bearer(_PUSH)
    location = (await edge.client.request("POST", "/v2/team/app/blobs/uploads/", headers)).headers["location"]
    assert (await edge.client.request("PATCH", location, headers, (_BLOB,))).status == 202
    edge.rights.actions["alice-id", "team/app"] = _PUSH

    edge.epochs.projects["team"] = 6

    assert (await edge.client.request("PUT", f"{location}?digest={_DIGEST}", headers)).status == 201


async def test_a_removed_member_is_challenged_for_the_scope_and_may_still_ping_t16_s14(edge: Edge) -> None:
    headers = edge.bearer(_PUSH)
    location = (await edge.client.request("POST", "/v2/team/app/blobs/uploads/", headers)).headers["location"]
    assert (await edge.client.request("PATCH", location, headers, (_BLOB,))).status == 202

    edge.epochs.projects["team"] = 6

    refused = await edge.client.request("PUT", f"{location}?digest={_DIGEST}", headers)
    assert (refused.status, refused.error_code()) == (401, "UNAUTHORIZED")
    assert refused.headers["www-authenticate"] == (
        f'{_REALM},scope="repository:team/app:pull,push",error="insufficient_scope"'
    )
    assert (await edge.client.request("GET", "/v2/", headers)).status == 200


async def test_a_token_of_a_changed_project_is_decided_once_and_not_per_request(edge: Edge) -> None:
    headers = edge.bearer(frozenset({"pull"}))
    edge.rights.actions["alice-id", "team/app"] = frozenset({"pull"})
    edge.epochs.projects["team"] = 6

    for _ in range(3):
        await edge.client.request("GET", "/v2/team/app/tags/list", headers)

    assert [repository for _, repository in edge.rights.asked] == ["team/app"]


async def test_nothing_is_served_to_a_token_when_epochs_are_not_known_i6(edge: Edge) -> None:
    edge.epochs.is_fresh = False

    reply = await edge.client.request("GET", "/v2/", edge.bearer(frozenset()))

    assert (reply.status, reply.error_code()) == (503, "UNAVAILABLE")


async def test_a_cookie_gets_nobody_in_s22(edge: Edge) -> None:
    token = edge.bearer(_PUSH)["Authorization"].removeprefix("Bearer ")

    reply = await edge.client.request("GET", "/v2/", {"Cookie": f"sid={token}; Authorization=Bearer {token}"})

    assert reply.status == 401


async def test_a_token_costs_no_statement_and_no_thread_when_it_is_known(edge: Edge) -> None:
    headers = edge.bearer(frozenset({"pull"}))
    await edge.client.request("GET", "/v2/", headers)
    edge.registry.counts.reset()

    await edge.client.request("GET", "/v2/", headers)

    assert (edge.registry.counts.statements, edge.registry.counts.thread_hops) == ([], 0)


async def test_authorization_goes_nowhere_else_t18(edge: Edge) -> None:
    """No reply repeats what the client sent to prove who it is."""
    headers = edge.bearer(_PUSH)
    secret = headers["Authorization"].removeprefix("Bearer ")
    pushed = await edge.client.request(
        "POST", f"/v2/team/app/blobs/uploads/?digest={_DIGEST}", headers, (_BLOB,)
    )
    pulled = await edge.client.request("GET", f"/v2/team/app/blobs/{_DIGEST}", headers)

    assert (pushed.status, pulled.status) == (201, 200)
    for reply in (pushed, pulled):
        assert secret not in f"{reply.headers}"


async def test_without_accounts_nobody_reads_credentials(edge: Edge) -> None:
    """A registry without accounts answers as it always did, whatever is presented."""
    for headers in ({"Authorization": "Bearer x.y.z"}, {"Authorization": "nonsense"}, {}):
        reply = await edge.registry.client.request("GET", "/v2/", headers)
        assert (reply.status, "www-authenticate" in reply.headers) == (200, False)
