"""A flood of refusals leaves few records, which say how many there were; nobody else's are lost by it (F41, I11)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.condensed_refusals import TOO_FAST, CondensedRefusals
from entrepot.auth.errors import AuditUnavailableError
from entrepot.auth.principals import ANONYMOUS, Principal

if TYPE_CHECKING:
    from entrepot.auth.audit_records import AuditOutcome
    from entrepot.metadata.audit_store import NewAuditRecord


class _Kept:
    """Keeps what is noted, unless it is told to fail."""

    def __init__(self) -> None:
        self.records: list[NewAuditRecord] = []
        self.fails = False

    async def note(self, record: NewAuditRecord) -> None:
        if self.fails:
            raise AuditUnavailableError("the disk is full")
        self.records.append(record)

    def repeats(self) -> list[int]:
        """Return how many requests each record stands for."""
        return [msgspec.json.decode(record.body).get("repeats", 1) for record in self.records]


def _record(
    address: str,
    name: str = "",
    *,
    subject: str = ANONYMOUS,
    outcome: AuditOutcome = "failure",
    action: AuditAction = AuditAction.LOGIN,
    reason: str = "locked out",
    project: str = "",
) -> NewAuditRecord:
    principal = Principal(subject, address, forwarded=False, name=name)
    about = AuditObject("repository", f"{project}/app", project) if project else AuditObject("user", name)
    return audit_record(principal, action, about, outcome=outcome, reason=reason)


@pytest.fixture
def kept() -> _Kept:
    """What was noted."""
    return _Kept()


async def test_a_flood_of_one_address_leaves_its_first_and_one_that_counts_the_rest_f41(kept: _Kept) -> None:
    counted: list[int] = []
    refusals = CondensedRefusals(kept, lambda: counted.append(1), each=3)
    for number in range(1000):
        await refusals.note(_record("192.0.2.7", f"name {number}"))
    assert [record.user_name for record in kept.records] == ["name 0", "name 1", "name 2"]

    await refusals.flush()

    assert kept.repeats() == [1, 1, 1, 997]
    assert kept.records[-1].user_name == "name 999"
    assert kept.records[-1].address == "192.0.2.7"
    assert len({record.record_id for record in kept.records}) == 4
    assert len(counted) == 997


async def test_each_period_begins_anew_i11(kept: _Kept) -> None:
    refusals = CondensedRefusals(kept, each=1)
    for _ in range(2):
        await refusals.note(_record("192.0.2.7"))
        await refusals.note(_record("192.0.2.7"))
        await refusals.flush()
    await refusals.flush()

    assert kept.repeats() == [
        1,
        1,
        1,
        1,
    ]  # one that stands for itself alone is the record that it would have been


async def test_the_flood_of_one_address_hides_nothing_of_another_i11(kept: _Kept) -> None:
    refusals = CondensedRefusals(kept, each=1)
    for _ in range(100):
        await refusals.note(_record("192.0.2.7"))
    await refusals.note(_record("192.0.2.8", "alice"))

    assert [record.address for record in kept.records] == ["192.0.2.7", "192.0.2.8"]


async def test_addresses_of_one_ipv6_subscriber_are_one(kept: _Kept) -> None:
    refusals = CondensedRefusals(kept, each=1)
    for number in range(1, 100):
        await refusals.note(_record(f"2001:db8::{number:x}"))
    await refusals.flush()

    assert kept.repeats() == [1, 98]


async def test_acts_are_counted_apart(kept: _Kept) -> None:
    refusals = CondensedRefusals(kept, each=1)
    for action in (AuditAction.LOGIN, AuditAction.LOGIN, AuditAction.LOGIN, AuditAction.ACCESS_DENIED):
        await refusals.note(_record("192.0.2.7", action=action))
    await refusals.flush()

    assert sorted(
        (record.action, times) for record, times in zip(kept.records, kept.repeats(), strict=True)
    ) == [
        ("access.denied", 1),
        ("session.login", 1),
        ("session.login", 2),
    ]


async def test_whoever_is_known_by_a_right_secret_is_noted_each_time_i11(kept: _Kept) -> None:
    """Whose it is stands in the record, however much junk came from the address before."""
    refusals = CondensedRefusals(kept, each=1)
    for number in range(20):
        await refusals.note(_record("192.0.2.7", reason="unknown access token"))
        await refusals.note(
            _record("192.0.2.7", f"robot$ci{number}", subject=f"id-{number}", reason="expired")
        )
    await refusals.flush()

    assert [record.user_name for record in kept.records if record.user_name] == [
        f"robot$ci{number}" for number in range(20)
    ]
    assert max(kept.repeats()) == 19


async def test_a_project_is_blamed_for_no_refusal_in_another_i11(kept: _Kept) -> None:
    refusals = CondensedRefusals(kept, each=1)
    for project in ["alpha"] * 40 + ["beta"]:
        await refusals.note(_record("192.0.2.7", action=AuditAction.ACCESS_DENIED, project=project))
    await refusals.flush()

    assert sorted(zip([record.project for record in kept.records], kept.repeats(), strict=True)) == [
        ("alpha", 1),
        ("alpha", 39),
        ("beta", 1),
    ]


async def test_names_of_projects_fill_nothing_f41(kept: _Kept) -> None:
    """What is of no kind of its own any more is about nothing in particular."""
    refusals = CondensedRefusals(kept, each=1)
    for number in range(1000):
        await refusals.note(_record("192.0.2.7", action=AuditAction.ACCESS_DENIED, project=f"p{number}"))
    await refusals.flush()

    assert len(kept.records) == 302
    (rest,) = [record for record, times in zip(kept.records, kept.repeats(), strict=True) if times == 699]
    body = msgspec.json.decode(rest.body)
    assert (rest.project, rest.object_name, body["object"]["name"], body["url.path"]) == ("", "", "", "")


async def test_a_counted_refusal_has_the_time_of_its_request(kept: _Kept) -> None:
    refusals = CondensedRefusals(kept, each=0)
    before = time.time_ns() // 1_000_000  # noqa: TID251  # as in the spool
    await refusals.note(_record("192.0.2.7"))
    after = time.time_ns() // 1_000_000  # noqa: TID251  # as in the spool
    await asyncio.sleep(0.05)
    await refusals.flush()

    (record,) = kept.records
    assert before <= (record.at_milliseconds or 0) <= after


@pytest.mark.parametrize(
    ("subject", "outcome"), [("a1", "failure"), (ANONYMOUS, "success"), ("a1", "success")]
)
async def test_what_is_no_refusal_of_nobody_is_noted_each_i11(
    kept: _Kept, subject: str, outcome: AuditOutcome
) -> None:
    refusals = CondensedRefusals(kept, each=1)
    for _ in range(10):
        await refusals.note(_record("192.0.2.7", subject=subject, outcome=outcome))

    assert len(kept.records) == 10


async def test_whoever_is_known_and_too_fast_is_counted_by_account_and_address_f41(kept: _Kept) -> None:
    refusals = CondensedRefusals(kept, each=1)
    for _ in range(100):
        for subject, address in (("a1", "192.0.2.7"), ("b2", "192.0.2.7"), ("a1", "192.0.2.8")):
            await refusals.note(_record(address, subject, subject=subject, reason=TOO_FAST))
    await refusals.flush()

    stands_for = zip(kept.records, kept.repeats(), strict=True)
    assert sorted((record.subject, record.address, times) for record, times in stands_for) == [
        *(("a1", "192.0.2.7", 1), ("a1", "192.0.2.7", 99), ("a1", "192.0.2.8", 1), ("a1", "192.0.2.8", 99)),
        *(("b2", "192.0.2.7", 1), ("b2", "192.0.2.7", 99)),
    ]


async def test_nobody_known_is_blamed_for_what_others_were_refused_i11(kept: _Kept) -> None:
    """Neither where there are too many addresses to tell apart nor where there are too many kinds."""
    refusals = CondensedRefusals(kept, each=1, most_addresses=2)
    for number in range(400):
        await refusals.note(
            _record("192.0.2.7", action=AuditAction.ACCESS_DENIED, project=f"p{number}", reason=TOO_FAST)
        )
    for number in range(50):
        for subject in ("a1", "b2"):
            await refusals.note(_record(f"192.0.2.{number}", subject, subject=subject, reason=TOO_FAST))
    await refusals.flush()

    counted: dict[str, int] = {}
    for record, times in zip(kept.records, kept.repeats(), strict=True):
        counted[record.subject] = counted.get(record.subject, 0) + times
        assert record.subject == ANONYMOUS or msgspec.json.decode(record.body)["event.reason"] == TOO_FAST
    assert counted == {ANONYMOUS: 400, "a1": 50, "b2": 50}


async def test_beyond_so_many_addresses_all_others_are_one_f41(kept: _Kept) -> None:
    refusals = CondensedRefusals(kept, each=1, most_addresses=10)
    for number in range(200):
        await refusals.note(_record(f"192.0.2.{number}"))
    await refusals.flush()

    assert kept.repeats() == [1] * 11 + [189]
    # Whose address it shows is one of many, and not to blame for all.
    assert [msgspec.json.decode(record.body).get("repeats_from") for record in kept.records[-2:]] == [
        None,
        "several addresses",
    ]


async def test_what_cannot_be_noted_stays_counted_f45(kept: _Kept) -> None:
    refusals = CondensedRefusals(kept, each=1)
    for address in ("192.0.2.7", "192.0.2.8"):
        for _ in range(5):
            await refusals.note(_record(address))
    kept.fails = True
    await refusals.flush()
    with pytest.raises(AuditUnavailableError):
        await refusals.note(_record("192.0.2.9"))
    kept.fails = False

    await refusals.aclose()

    assert sorted(kept.repeats()) == [1, 1, 4, 4]


async def test_the_end_of_a_process_notes_what_was_counted_i11(kept: _Kept) -> None:
    refusals = CondensedRefusals(kept, each=1, period_seconds=3600)
    refusals.start()
    for _ in range(3):
        await refusals.note(_record("192.0.2.7"))

    await refusals.aclose()

    assert kept.repeats() == [1, 2]


async def test_a_dead_token_fills_nothing_whoever_has_it_f41(kept: _Kept) -> None:
    """Their account is on each record; what they type as names of projects makes no more of them."""
    refusals = CondensedRefusals(kept, each=1)
    for number in range(2000):
        record = _record("192.0.2.7", subject="id-7", reason="it has expired", project=f"p{number}")
        await refusals.note(record)
    await refusals.flush()

    assert sum(kept.repeats()) == 2000
    assert len(kept.records) < 310
    assert {record.subject for record in kept.records} == {"id-7"}
