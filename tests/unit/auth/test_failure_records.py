"""What a record keeps of an act that failed: whatever somebody typed, it is bounded and holds no secret."""

from __future__ import annotations

import json

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record, commitment
from entrepot.auth.generated_secrets import new_secret
from entrepot.auth.principals import Origin
from tests.running.audit_material import ALICE


def test_i12_a_failed_act_is_a_small_record_whatever_was_typed() -> None:
    principal = msgspec.structs.replace(ALICE, origin=Origin("1", "docker", "PUT", "/v2/a/manifests/x", 0))
    about = AuditObject("repository", "team/app", "team", "t" * 30_000, "d" * 30_000)

    record = audit_record(
        principal,
        AuditAction.MANIFEST_PUSH,
        about,
        outcome="failure",
        reason="missing: " + "x" * 3_000_000,
        status=404,
    )

    body = json.loads(record.body)
    assert len(record.body) < 2500
    assert body["event.reason"].startswith("missing: xxx")
    assert (len(body["event.reason"]), len(body["object"]["tag"]), len(body["object"]["digest"])) == (
        512,
        256,
        256,
    )


def test_secrets_that_were_typed_where_names_belong_are_in_no_record_s27() -> None:
    secret = new_secret("ept_")
    origin = Origin("1", "curl", "DELETE", f"/api/v2.0/access-tokens/{secret}", 0)
    principal = msgspec.structs.replace(ALICE, origin=origin)

    record = audit_record(
        principal,
        AuditAction.ACCESS_TOKEN_DELETE,
        AuditObject("endpoint", "api.access-token.delete"),
        outcome="failure",
        reason=f"there is no access token '{secret}'",
        status=404,
    )

    assert secret[4:] not in repr(record)
    body = json.loads(record.body)
    assert (body["event.reason"], body["url.path"]) == (
        "there is no access token 'ept_…'",
        "/api/v2.0/access-tokens/ept_…",
    )


def test_no_field_of_a_record_of_what_was_done_holds_a_secret_either_s27() -> None:
    secret = new_secret("ept_")
    origin = Origin(f"id.{secret}", f"curl {secret}", "PUT", f"/api/v2.0/x/{secret}", 200)
    principal = msgspec.structs.replace(ALICE, name=f"x{secret}", origin=origin)
    about = AuditObject("label", secret, secret, f"{secret}", secret)

    record = audit_record(
        principal, AuditAction.LABEL_UPDATE, about, before={"tags": {secret: None}}, after={"name": secret}
    )

    assert secret[4:] not in repr(record)
    body = json.loads(record.body)
    assert (body["url.path"], body["object"]["tag"], body["http.request.id"]) == (
        "/api/v2.0/x/ept_…",
        "ept_…",
        "id.ept_…",
    )
    assert (record.object_name, record.project, record.request_id) == ("ept_…", "ept_…", "id.ept_…")
    disclosed = json.loads(record.disclosure or b"")
    assert (disclosed["user_agent.original"][1], disclosed["user.name"][1]) == ("curl ept_…", "xept_…")
    hashed = commitment(*disclosed["user_agent.original"])
    assert hashed == body["personal"]["user_agent.original"]


def test_no_part_of_a_secret_stays_where_a_long_text_is_cut_s27() -> None:
    secret = new_secret("ers_")
    origin = Origin("1", "x" * 240 + secret, "GET", "/" + "p" * 1000 + secret)

    record = audit_record(
        msgspec.structs.replace(ALICE, origin=origin), AuditAction.MANIFEST_PULL, AuditObject("registry", "")
    )

    assert secret[4:8] not in repr(record)


def test_an_address_is_recorded_as_it_is_searched_for() -> None:
    """A listener of both families tells IPv4 addresses in IPv6 clothes."""
    for told, kept in (
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("::FFFF:C000:209", "192.0.2.9"),
        ("192.0.2.9", "192.0.2.9"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("", ""),
    ):
        record = audit_record(
            msgspec.structs.replace(ALICE, address=told), AuditAction.LOGIN, AuditObject("user", "")
        )
        assert (record.address, json.loads(record.disclosure or b"")["source.ip"][1]) == (kept, kept)
