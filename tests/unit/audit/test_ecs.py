"""Names of the Elastic Common Schema: all that the records have to tell (8.1.4.3b)."""

from __future__ import annotations

import msgspec

from entrepot.audit.ecs import ecs_fields
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record, repeated
from entrepot.auth.principals import Origin
from tests.running.audit_material import ALICE


def test_a_record_has_all_fields_of_the_standard_8_1_4_3b() -> None:
    about = AuditObject("repository", "team/app", "team", "v1,v2", "sha256:" + "a" * 64)
    record = audit_record(
        ALICE,
        AuditAction.MANIFEST_PUSH,
        about,
        status=201,
        reason="because",
        before={"tags": {"v1": None}},
        after={"tags": {"v1": "sha256:" + "a" * 64}},
    )

    assert ecs_fields(1_790_000_000_123, record.body, record.disclosure) == {
        "@timestamp": "2026-09-21T14:13:20.123Z",
        "event.kind": "event",
        "event.action": "manifest.push",
        "event.outcome": "success",
        "event.reason": "because",
        "user.name": "alice",
        "user.id": "a" * 32,
        "entrepot.user.kind": "user",
        "source.ip": "192.0.2.1",
        "user_agent.original": "docker/28.0",
        "http.request.method": "GET",
        "http.request.id": "request-0001",
        "request.path": "/v2/team/app/manifests/v1",
        "url.path": "/v2/team/app/manifests/v1",
        "http.response.status": 201,
        "http.response.status_code": 201,
        "container.image.name": "team/app",
        "container.image.tag": ["v1", "v2"],
        "container.image.hash.all": ["sha256:" + "a" * 64],
        "entrepot.object.kind": "repository",
        "entrepot.object.name": "team/app",
        "entrepot.project": "team",
        "entrepot.before": {"tags": {"v1": None}},
        "entrepot.after": {"tags": {"v1": "sha256:" + "a" * 64}},
    }


def test_a_record_that_stands_for_several_says_how_many() -> None:
    """And differs from the one that it repeats in nothing else, but that it is another one."""
    record = audit_record(
        ALICE, AuditAction.LOGIN, AuditObject("user", "bob"), outcome="failure", reason="busy"
    )
    other = repeated(record, 17)

    fields = ecs_fields(0, other.body, other.disclosure)

    assert other.record_id != record.record_id
    assert fields == {**ecs_fields(0, record.body, record.disclosure), "entrepot.repeats": 17}


def test_erased_data_are_left_out_and_the_rest_stays() -> None:
    record = audit_record(ALICE, AuditAction.LOGOUT, AuditObject("user", "alice"))

    fields = ecs_fields(0, record.body, None)

    assert {"user.name", "source.ip", "user_agent.original"}.isdisjoint(fields)
    assert fields["user.id"] == "a" * 32


def test_a_record_keeps_no_more_of_a_request_than_anybody_needs_s36() -> None:
    """Wherever the request came in."""
    talkative = msgspec.structs.replace(ALICE, origin=Origin("1", "a" * 300, "GET", "/" + "b" * 2000))

    record = audit_record(talkative, AuditAction.MANIFEST_PULL, AuditObject("repository", "team/app"))

    fields = ecs_fields(0, record.body, record.disclosure)
    assert (fields["user_agent.original"], fields["url.path"]) == ("a" * 256, "/" + "b" * 1023)
