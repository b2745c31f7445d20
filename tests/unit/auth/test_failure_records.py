"""What a record keeps of an act that failed: whatever somebody typed, it is bounded and holds no secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record, commitment
from entrepot.auth.generated_secrets import new_secret
from entrepot.auth.principals import Origin, Principal
from entrepot.kernel.secret_forms import without_secrets
from tests.running.audit_material import ALICE

if TYPE_CHECKING:
    from entrepot.auth.audit_records import AuditOutcome


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

    shown = without_secrets(secret)
    assert secret[4:] not in repr(record)
    body = json.loads(record.body)
    assert (body["event.reason"], body["url.path"]) == (
        f"there is no access token '{shown}'",
        f"/api/v2.0/access-tokens/{shown}",
    )


def test_no_field_of_a_record_of_what_was_done_holds_a_secret_either_s27() -> None:
    secret = new_secret("ept_")
    origin = Origin(f"id.{secret}", f"curl {secret}", "PUT", f"/api/v2.0/x/{secret}", 200)
    principal = msgspec.structs.replace(ALICE, origin=origin)
    about = AuditObject("label", secret, secret, f"{secret}", secret)

    record = audit_record(
        principal, AuditAction.LABEL_UPDATE, about, before={"tags": {secret: None}}, after={"name": secret}
    )

    shown = without_secrets(secret)
    assert secret[4:] not in repr(record)
    body = json.loads(record.body)
    assert (body["url.path"], body["object"]["tag"], body["http.request.id"]) == (
        f"/api/v2.0/x/{shown}",
        shown,
        f"id.{shown}",
    )
    assert (record.object_name, record.project, record.request_id) == (shown, shown, f"id.{shown}")
    disclosed = json.loads(record.disclosure or b"")
    assert disclosed["user_agent.original"][1] == f"curl {shown}"
    assert body["change"] == {"before": {"tags": {shown: None}}, "after": {"name": shown}}
    hashed = commitment(*disclosed["user_agent.original"])
    assert hashed == body["personal"]["user_agent.original"]


def test_texts_that_a_secret_would_be_made_of_together_are_told_as_they_are_i11() -> None:
    """Of all texts of a record, which are looked through in one, a beginning and what would follow it."""
    texts = (
        "/v2/ept_",
        new_secret("ept_")[4:],
        "ept",
        f"_{'x1' * 21}",
        "eyJhbGciOiJIUzI1NiJ9",
        ".eyJ",
        "." * 20,
    )
    path, request_id, reason, name, project, tag, digest = texts
    principal = msgspec.structs.replace(ALICE, origin=Origin(request_id, "curl", "GET", path, 200))
    about = AuditObject("label", name, project, tag, digest)

    body = json.loads(audit_record(principal, AuditAction.LABEL_UPDATE, about, reason=reason).body)

    told = body["object"]
    assert texts == (
        *(body[field] for field in ("url.path", "http.request.id", "event.reason")),
        *(told[field] for field in ("name", "project", "tag", "digest")),
    )


_SOUND: Final = "customers_EU-west-production-payments-platform-images-2"
"""Of the form of a secret behind some letters, as names of projects, tags and people may be."""


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_what_exists_is_recorded_under_its_name_whatever_that_looks_like_i11(outcome: AuditOutcome) -> None:
    """Else neither who looks for it nor an erasure would find it."""
    principal = msgspec.structs.replace(ALICE, name=_SOUND)
    about = AuditObject("repository", f"{_SOUND}/app", _SOUND, _SOUND)

    record = audit_record(
        principal, AuditAction.MANIFEST_PUSH, about, outcome=outcome, after={"tags": {_SOUND: "v1"}}
    )

    body = json.loads(record.body)
    assert (record.user_name, record.object_name, record.project) == (_SOUND, f"{_SOUND}/app", _SOUND)
    assert (body["object"]["tag"], body["change"]["after"]) == (_SOUND, {"tags": {_SOUND: "v1"}})


@pytest.mark.parametrize("before", ["access_", "ci ", "v1-", "access_token_of_the_nightly_builds_in_ci__"])
def test_a_word_before_a_secret_shields_it_in_no_field_s27(before: str) -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4"
    for secret in (new_secret("ept_"), token):
        text = before + secret
        principal = msgspec.structs.replace(ALICE, name=text, origin=Origin(text, text, "PUT", f"/x/{text}"))

        record = audit_record(
            principal,
            AuditAction.LABEL_UPDATE,
            AuditObject("label", text, "", text, text),
            reason=text,
            after={"description": text},
        )

        assert not any(secret[place : place + 8] in repr(record) for place in range(4, len(secret) - 8))


def test_who_nobody_is_may_have_typed_a_secret_s27() -> None:
    nobody = Principal("anonymous", "192.0.2.1", forwarded=False, name=new_secret("ept_"))

    record = audit_record(nobody, AuditAction.LOGIN, AuditObject("user", ""), outcome="failure")

    assert record.user_name == without_secrets(nobody.name) != nobody.name


def test_an_act_on_oneself_names_nobody_who_is_called_like_a_secret_either_i11() -> None:
    """The masked name would stay in the chain when the person is erased."""
    principal = msgspec.structs.replace(ALICE, name=new_secret("ept_"))

    record = audit_record(principal, AuditAction.USER_UPDATE, AuditObject("user", principal.name))

    assert record.object_name == ""


def test_two_things_that_are_named_as_secrets_are_told_apart_i11() -> None:
    names = [new_secret("ept_"), new_secret("ept_")]

    record = audit_record(
        ALICE, AuditAction.MANIFEST_DELETE, AuditObject("repository", "a/b"), before=dict.fromkeys(names, 1)
    )

    assert len(json.loads(record.body)["change"]["before"]) == 2
    assert not any(name[4:] in repr(record) for name in names)


def test_a_secret_that_an_escape_hides_is_found_s27() -> None:
    """A line break before it is an escape in JSON, which ends in a letter; in a path any of it may be escaped."""
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLW9mLWEtdG9rZW4"
    secret = new_secret("ept_")
    failed = audit_record(
        ALICE,
        AuditAction.ACCESS_TOKEN_DELETE,
        AuditObject("access-token", f"ept%5F{secret[4:]}"),
        outcome="failure",
        reason=f"there is no access token ept%5F{secret[4:]}",
    )
    assert secret[4:] not in repr(failed)
    for path in (f"/x%3D{token}", f"/ept%255F{secret[4:]}", f"/%2565pt_{secret[4:]}"):
        principal = msgspec.structs.replace(ALICE, origin=Origin("1", f"cli?t%3D{token}", "GET", path))

        record = audit_record(
            principal,
            AuditAction.ROBOT_CREATE,
            AuditObject("robot", "ci"),
            after={"description": f"\n{token}"},
        )

        assert not any(part in repr(record) for part in (token, secret[4:]))


def test_what_stays_of_a_secret_where_a_long_text_is_cut_lacks_more_than_its_sum_s27() -> None:
    """Texts are cut and then looked through: less than 26 of 43 characters help nobody to the others."""
    secret = new_secret("ers_")
    origin = Origin("1", "x" * 240 + secret, "GET", "/" + "p" * 1000 + secret)

    record = audit_record(
        msgspec.structs.replace(ALICE, origin=origin), AuditAction.MANIFEST_PULL, AuditObject("registry", "")
    )

    assert secret[: 4 + 26] not in repr(record)


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
