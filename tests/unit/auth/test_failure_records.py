"""What a record keeps of an act that failed: whatever somebody typed, it is bounded and holds no secret."""

from __future__ import annotations

import json

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.generated_secrets import new_secret, without_secrets
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


def test_what_is_no_secret_stays() -> None:
    for text in ("ept_short", "manifest sha256:" + "a" * 64, "kept_" + "a" * 20):
        assert without_secrets(text) == text
