"""Whose records share salts: what stays of one must not open what was erased of another (decision 36)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record, repeated
from entrepot.auth.principals import ANONYMOUS, Origin, Principal
from tests.running.audit_material import ALICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from entrepot.metadata.audit_store import NewAuditRecord


def _of(principal: Principal, name: str = "alice") -> NewAuditRecord:
    """Return a record of somebody who says this name, from Alice's address and with her program."""
    presented = msgspec.structs.replace(
        principal, name=name, address=ALICE.address, origin=msgspec.structs.replace(ALICE.origin)
    )
    return audit_record(presented, AuditAction.LOGIN, AuditObject("user", ""))


def _secrets(record: NewAuditRecord) -> Iterator[str]:
    """Return salts and commitments of a record."""
    disclosed: dict[str, list[str]] = json.loads(record.disclosure or b"{}")
    yield from (salt for salt, _ in disclosed.values())
    personal: dict[str, str] = json.loads(record.body)["personal"]
    yield from personal.values()


def _subject(subject: str, kind: Any = "user") -> Principal:
    return Principal(subject, "", forwarded=False, kind=kind)


def test_nothing_of_another_subject_opens_what_was_erased_of_a_person_i12() -> None:
    hers = set(_secrets(_of(ALICE)))
    failed = _of(_subject(ANONYMOUS, "anonymous"))
    others = {
        "failed logins under her name": failed,
        "failed logins of which most were only counted": repeated(failed, 5, of_several=True),
        "a later account of the same name": _of(_subject("c" * 32)),
        "a robot that is called so": _of(_subject("d" * 32, "robot")),
        "an operator of the host who is called so": _of(_subject("host:alice", "host")),
    }

    assert len(hers) == 6
    for whose, record in others.items():
        assert hers.isdisjoint(_secrets(record)), whose


def test_records_of_one_subject_share_salts_which_spares_most_of_their_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1_000_000.0)

    assert set(_secrets(_of(ALICE))) == set(_secrets(_of(ALICE)))


def test_what_a_subject_does_later_does_not_open_what_was_erased_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1_000_000.0)
    before = set(_secrets(_of(ALICE)))
    monkeypatch.setattr(time, "monotonic", lambda: 1_000_061.0)

    assert before.isdisjoint(_secrets(_of(ALICE)))


def test_each_text_of_a_request_is_a_value_of_its_own() -> None:
    other = msgspec.structs.replace(ALICE, origin=Origin("2", "curl"))
    record = audit_record(other, AuditAction.LOGIN, AuditObject("user", ""))

    assert set(_secrets(_of(ALICE))).isdisjoint(_secrets(record))
