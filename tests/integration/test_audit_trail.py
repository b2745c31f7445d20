"""What a registry does leaves exactly one record each, with who and from where (8.1.4.3a, I11)."""

from __future__ import annotations

import itertools
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from entrepot.audit.ecs import ecs_fields
from entrepot.audit.frames import read_frames
from entrepot.audit.segments import segment_paths
from entrepot.audit.spool import AuditSpool
from entrepot.auth.errors import AuthenticationRequiredError, InvalidCredentialsError, InvalidTokenError
from entrepot.auth.principals import NO_ORIGIN
from entrepot.distribution_api.admission import Admission, AdmissionLimits
from entrepot.distribution_api.application import DistributionApplication
from entrepot.distribution_api.audit import EdgeAudit
from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.requests import Request
from entrepot.distribution_api.routes import find_route
from entrepot.kernel.address_budget import AddressBudget
from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.oci.digest import Digest
from entrepot.registry.project_numbers import ProjectNumbers
from entrepot.settings import metadata_url
from tests.asgi.answered_statuses import AnsweredStatuses
from tests.asgi.client import AsgiClient
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.drivers.metadata.raw_database import RawDatabase
from tests.faults.image import REPOSITORY, TAG, one_layer_image
from tests.faults.pushing import AcknowledgementLog, push_image
from tests.running.audit_material import ALICE
from tests.running.failing_spool import FailingFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from entrepot.auth.principals import Principal
    from entrepot.kernel.asgi import Message
    from entrepot.metadata.audit_store import NewAuditRecord

pytestmark = pytest.mark.usefixtures("calm_disk")

_IMAGE = one_layer_image(1)
_DIGEST = str(Digest.of_bytes(_IMAGE.manifest))
_MANIFESTS = f"/v2/{REPOSITORY}/manifests"
_HEADERS = {"User-Agent": "docker/28.0 \x1b[1m"}


@dataclass
class _Trail:
    """A registry with its audit log."""

    registry: InProcessRegistry
    client: AsgiClient
    spool: Path
    files: FailingFiles = field(default_factory=FailingFiles)
    requests: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def noted(self) -> Sequence[NewAuditRecord]:
        return [
            record for path in segment_paths(self.spool) for record in read_frames(path.read_bytes()).records
        ]

    def noted_fields(self) -> list[dict[str, Any]]:
        return [ecs_fields(0, record.body, record.disclosure) for record in self.noted()]

    async def recorded(self) -> list[dict[str, Any]]:
        """Return what units recorded, the oldest first."""
        query = AuditPageQuery(AuditFilter(), 100, 0, "newer")
        rows = await self.registry.stores.metadata.audit.page(query)
        return [ecs_fields(row.at, row.body, row.disclosure) for row in rows]

    async def get(self, target: str, method: str = "GET") -> int:
        headers = _HEADERS | {"X-Request-Id": f"request-{next(self.requests):04}"}
        return (await self.client.request(method, target, headers)).status


@asynccontextmanager
async def _open(directory: Path, identification: Any = None) -> AsyncIterator[_Trail]:
    async with in_process_registry(scratch_settings(directory / "data")) as registry:
        services = registry.services
        files = FailingFiles()
        spool = AuditSpool(
            directory / "spool", "none", services.metrics.audit_spool_failures.inc, files=files
        )
        application = DistributionApplication(
            services,
            Admission(AdmissionLimits(100, 100, 100, 1.0), AddressBudget(100)),
            PaceLimits(0, 30, 60),
            audit=EdgeAudit(spool, services.project_numbers),
            identification=identification,
        )
        (directory / "spool").mkdir(parents=True)
        statuses = AnsweredStatuses(application)
        trail = _Trail(registry, AsgiClient(statuses), directory / "spool", files)
        yield trail
        statuses.check_records((*trail.noted_fields(), *await trail.recorded()))
        await spool.aclose()


@pytest.fixture
async def trail(tmp_path: Path) -> AsyncIterator[_Trail]:
    """A registry that has the image already, pushed by a client on this machine."""
    async with _open(tmp_path) as trail:
        await push_image(trail.client, _IMAGE, AcknowledgementLog.open(tmp_path / "acknowledged"))
        trail.registry.counts.reset()
        yield trail


async def test_a_push_leaves_one_record_of_each_act_in_its_unit_i11(trail: _Trail) -> None:
    recorded = await trail.recorded()

    assert [(one["event.action"], one.get("http.response.status_code")) for one in recorded] == [
        ("repository.create", 202),
        ("blob.push", 201),
        ("blob.push", 201),
        ("manifest.push", 201),
    ]
    last = recorded[-1]
    assert (last["container.image.name"], last["container.image.tag"]) == (REPOSITORY, [TAG])
    assert last["container.image.hash.all"] == [_DIGEST]
    assert (last["entrepot.before"], last["entrepot.after"]) == (
        {"tags": {TAG: None}},
        {"tags": {TAG: _DIGEST}},
    )
    assert (last["source.ip"], last["http.request.method"]) == ("127.0.0.1", "PUT")
    assert recorded[1]["entrepot.after"] == {"size": len(_IMAGE.layer)}
    assert trail.noted() == []


async def test_a_moved_tag_tells_what_it_pointed_at(trail: _Trail) -> None:
    manifest = json.dumps(json.loads(_IMAGE.manifest) | {"annotations": {"a": "b"}}).encode()
    media_type = "application/vnd.oci.image.manifest.v1+json"
    target = f"{_MANIFESTS}/{TAG}?tag=next"

    assert (await trail.client.request("PUT", target, {"Content-Type": media_type}, [manifest])).status == 201

    pushed, moved = str(Digest.of_bytes(manifest)), (await trail.recorded())[-1]
    assert moved["container.image.tag"] == [TAG, "next"]
    assert moved["entrepot.before"] == {"tags": {TAG: _DIGEST, "next": None}}
    assert moved["entrepot.after"] == {"tags": {TAG: pushed, "next": pushed}}


async def test_deletes_leave_one_record_each_and_mounts_one_in_each_project_i11(trail: _Trail) -> None:
    layer = str(Digest.of_bytes(_IMAGE.layer))
    begun = len(await trail.recorded())
    mount = await trail.client.request(
        "POST", f"/v2/team/other/blobs/uploads/?mount={layer}&from={REPOSITORY}"
    )
    statuses = [
        await trail.get(f"/v2/{path}", "DELETE")
        for path in (
            f"{REPOSITORY}/manifests/{TAG}",
            f"{REPOSITORY}/manifests/{_DIGEST}",
            f"{REPOSITORY}/blobs/{layer}",
            f"{REPOSITORY}/blobs/{layer}",
        )
    ]

    assert (mount.status, statuses) == (201, [202, 202, 202, 404])
    recorded = (await trail.recorded())[begun:]
    assert [one["event.action"] for one in recorded] == [
        "repository.create",
        "blob.mount",
        "blob.pull",
        "tag.delete",
        "manifest.delete",
        "blob.delete",
    ]
    assert recorded[1]["entrepot.after"] == {"from": REPOSITORY}
    assert recorded[2]["event.reason"] == "mounted into a repository of another project"
    assert "team/other" not in json.dumps(recorded[2])
    assert recorded[3]["entrepot.before"] == {"tags": {TAG: _DIGEST}}
    assert [one.get("http.response.status") for one in recorded] == [201, 201, 201, 202, 202, 202]


async def test_pulls_and_listings_are_noted_before_the_answer_and_heads_are_not_f45(trail: _Trail) -> None:
    layer = str(Digest.of_bytes(_IMAGE.layer))
    for target in (f"{_MANIFESTS}/{TAG}", f"/v2/{REPOSITORY}/blobs/{layer}", f"/v2/{REPOSITORY}/tags/list"):
        assert await trail.get(target) == 200
    assert await trail.get("/v2/_catalog") == 200
    assert await trail.get(f"/v2/{REPOSITORY}/referrers/{_DIGEST}") == 200
    for target in (f"{_MANIFESTS}/{TAG}", f"/v2/{REPOSITORY}/blobs/{layer}", "/v2/"):
        assert await trail.get(target, "HEAD") == 200
    assert await trail.get(f"{_MANIFESTS}/absent") == 404

    noted = trail.noted_fields()
    assert [one["event.action"] for one in noted] == [
        "manifest.pull",
        "blob.pull",
        "tags.list",
        "catalog.read",
        "referrers.list",
    ]
    assert noted[4]["container.image.hash.all"] == [_DIGEST]
    assert {one["event.outcome"] for one in noted} == {"success"}
    assert (noted[0]["container.image.tag"], noted[0]["container.image.hash.all"]) == ([TAG], [_DIGEST])
    assert noted[1]["container.image.hash.all"] == [layer]
    assert noted[0]["http.request.id"] == "request-0001"
    assert noted[0]["user_agent.original"] == "docker/28.0 \\x1b[1m"
    assert len(await trail.recorded()) == 4


async def test_what_is_noted_names_the_project_by_its_number_f27_f45(trail: _Trail) -> None:
    """Names are used again before a node's files are taken over. For nobody's refusals the database is not asked."""
    metadata = trail.registry.stores.metadata
    project = REPOSITORY.partition("/")[0]
    number = await metadata.projects.number_of(project)
    layer = str(Digest.of_bytes(_IMAGE.layer))
    remote = AsgiClient(trail.client.application, "192.0.2.9")
    pulls = (
        f"{_MANIFESTS}/{TAG}",
        f"{_MANIFESTS}/{TAG}",
        f"{_MANIFESTS}/{_DIGEST}",
        f"/v2/{REPOSITORY}/blobs/{layer}",
        f"/v2/{REPOSITORY}/tags/list",
        f"/v2/{REPOSITORY}/referrers/{_DIGEST}",
    )
    known = {"If-None-Match": f'"{_DIGEST}"'}
    ranged = {"Range": "bytes=0-1"}

    statuses = [await trail.get(target) for target in pulls]
    statuses.append((await trail.client.request("GET", pulls[0], known)).status)
    statuses.append((await trail.client.request("GET", pulls[3], ranged)).status)
    statuses.append((await remote.request("GET", pulls[0])).status)
    statuses.append((await remote.request("GET", "/v2/none/app/manifests/v1")).status)

    assert number is not None
    assert statuses == [200] * 6 + [304, 206, 403, 403]
    assert [record.project_id for record in trail.noted()] == [number] * 8 + [None] * 2
    stored = f"SELECT DISTINCT project_id FROM audit_records WHERE project = '{project}'"
    database = RawDatabase(metadata_url(trail.registry.settings))
    assert await database.fetch(stored) == [(number,)]


async def test_a_refusal_is_noted_while_nobody_can_tell_which_project_it_was_i11(
    trail: _Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_name: str) -> None:
        raise MetadataUnavailableError("gone")

    metadata = trail.registry.stores.metadata
    numbers = ProjectNumbers(metadata)
    assert await numbers.find("none") == 0
    monkeypatch.setattr(metadata.projects, "number_of", fail)

    assert await numbers.find(REPOSITORY.partition("/")[0]) is None


async def test_a_noted_pull_costs_no_thread_and_no_statement_of_its_own(trail: _Trail) -> None:
    await trail.get(f"{_MANIFESTS}/{TAG}")
    trail.registry.counts.reset()

    assert await trail.get(f"{_MANIFESTS}/{TAG}") == 200

    counts = trail.registry.counts
    assert (len(counts.statements), counts.commits, counts.data_syncs, counts.thread_hops) == (1, 0, 0, 0)


async def test_without_room_for_its_record_a_pull_is_not_answered_and_a_push_is_f45(trail: _Trail) -> None:
    trail.files.room = 0
    layer = str(Digest.of_bytes(_IMAGE.layer))

    refused = await trail.client.request("GET", f"/v2/{REPOSITORY}/blobs/{layer}")
    assert (refused.status, refused.error_code(), refused.headers["retry-after"]) == (503, "UNAVAILABLE", "1")
    assert await trail.get(f"{_MANIFESTS}/{TAG}", "HEAD") == 200
    assert await trail.get(f"{_MANIFESTS}/{TAG}", "DELETE") == 202
    trail.files.room = None

    assert await trail.get(f"/v2/{REPOSITORY}/blobs/{layer}") == 200
    assert [one["event.action"] for one in trail.noted_fields()] == ["blob.pull"]


async def test_refusals_are_noted_with_their_reason_8_1_4_3a(trail: _Trail) -> None:
    remote = AsgiClient(trail.client.application, "192.0.2.9")

    for method, target in (("GET", f"{_MANIFESTS}/{TAG}"), ("POST", f"/v2/{REPOSITORY}/blobs/uploads/")):
        assert (await remote.request(method, target)).status == 403

    noted = trail.noted_fields()
    assert [(one["event.action"], one["event.outcome"]) for one in noted] == [
        ("access.denied", "failure")
    ] * 2
    assert [one["http.response.status_code"] for one in noted] == [403, 403]
    assert [one.get("container.image.tag") for one in noted] == [[TAG], None]
    assert noted[0]["source.ip"] == "192.0.2.9"
    assert "has no accounts" in noted[0]["event.reason"]


async def test_a_challenge_is_no_refusal_and_wrong_credentials_are_recorded_where_they_are_checked_i11(
    trail: _Trail,
) -> None:
    spool = AuditSpool(trail.spool, "none", lambda: None)
    audit = EdgeAudit(spool, trail.registry.services.project_numbers)
    asked, ended = AuthenticationRequiredError(), InvalidTokenError("ended at noon")
    with_header = _request((b"authorization", b"Basic eA=="))
    found, alice = find_route("GET", "/v2/"), msgspec.structs.replace(ALICE, origin=NO_ORIGIN)

    await audit.note_refusal(_request(), alice, found, asked, 401)
    await audit.note_refusal(with_header, alice, found, InvalidCredentialsError("expired"), 401)
    await audit.note_refusal(with_header, alice, found, asked, 401)
    await audit.note_refusal(with_header, alice, found, ended, 401)

    assert [one["event.reason"] for one in trail.noted_fields()] == [str(asked), "ended at noon"]


class _Known:
    """Stands for what tells who asks: everybody is alice."""

    async def identify(self, request: Request, peer: Principal) -> Principal:  # whatever is presented
        return msgspec.structs.replace(ALICE, address=peer.address, origin=peer.origin)


async def test_pushes_and_deletes_that_can_not_be_done_are_noted_where_somebody_is_known_i11(
    tmp_path: Path,
) -> None:
    """With the act that it would have been and the status of the answer; pulls of what is not there are not."""
    missing = f"sha256:{'0' * 64}"
    steps = (
        ("PUT", f"{_MANIFESTS}/bad", b"{"),
        ("DELETE", f"{_MANIFESTS}/{missing}", b""),
        ("DELETE", f"/v2/{REPOSITORY}/blobs/{missing}", b""),
        ("PUT", f"/v2/{REPOSITORY}/blobs/uploads/{'0' * 32}?digest={missing}", b"x"),
        ("GET", f"{_MANIFESTS}/none", b""),
    )

    told = ("event.action", "event.outcome", "http.response.status_code", "user.name")
    noted: list[list[tuple[Any, ...]]] = []
    for place, identification in (("known", _Known()), ("nobody", None)):
        async with _open(tmp_path / place, identification) as trail:
            statuses = [
                (await trail.client.request(method, target, _HEADERS, (body,))).status
                for method, target, body in steps
            ]
            noted.append([tuple(one[name] for name in told) for one in trail.noted_fields()])
        assert statuses == [400, 404, 404, 404, 404]

    assert noted[1] == []
    assert noted[0] == [
        ("manifest.push", "failure", 400, "alice"),
        ("manifest.delete", "failure", 404, "alice"),
        ("blob.delete", "failure", 404, "alice"),
        ("blob.push", "failure", 404, "alice"),
    ]


def _request(*headers: tuple[bytes, bytes]) -> Request:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope: Message = {"method": "GET", "path": "/v2/", "headers": list(headers)}
    return Request(scope, receive, PaceLimits(0, 30, 60))
