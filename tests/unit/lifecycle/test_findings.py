"""What counts as damage, and the documented form of a finding."""

from __future__ import annotations

import msgspec
import pytest

from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.lifecycle.errors import MassDamageError
from entrepot.lifecycle.scrub.findings import Finding, Kind, Outcome, as_row, from_row
from entrepot.lifecycle.scrub.journal_phase import _runs
from entrepot.lifecycle.scrub.mass_damage import MassDamageGuard

_FINDING = Finding(Kind.CORRUPT, "blob", "sha256:00", key="blobs/x", expected_bytes=5, tags=("a:b",))


def test_a_finding_comes_back_from_its_row_as_it_was() -> None:
    """Also with all that was done about it."""
    finding = msgspec.structs.replace(_FINDING, outcome=Outcome.HEALED, source="second", more=True)

    assert from_row(as_row(finding)) == finding
    assert as_row(_FINDING).damage
    assert not as_row(finding).damage


def test_the_documented_members_are_all_there() -> None:
    """Whoever parses the report relies on them."""
    assert list(msgspec.to_builtins(_FINDING)) == [
        "kind",
        "about",
        "name",
        "key",
        "expected_bytes",
        "found_bytes",
        "detail",
        "repositories",
        "tags",
        "more",
        "needed",
        "outcome",
        "source",
    ]


@pytest.mark.parametrize(
    ("finding", "damage"),
    [
        (_FINDING, True),
        (msgspec.structs.replace(_FINDING, outcome=Outcome.QUARANTINED), True),
        (msgspec.structs.replace(_FINDING, outcome=Outcome.WOULD_HEAL), True),
        (msgspec.structs.replace(_FINDING, outcome=Outcome.RESTORED), False),
        (msgspec.structs.replace(_FINDING, needed=False), False),
        (Finding(Kind.JOURNAL_UNREADABLE, "journal", "x"), False),
        (Finding(Kind.JOURNAL_GAP, "journal", "x"), True),
    ],
)
def test_damage_is_what_is_left_and_missed(finding: Finding, damage: bool) -> None:
    """What was healed, what nobody needs and what is only a note is none."""
    assert finding.is_damage is damage


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([1], "1"), ([1, 2, 3, 7], "1-3, 7"), ([1, 3, 5], "1, 3, 5"), (range(1, 41, 2), None)],
)
def test_missing_facts_are_named_as_runs(numbers: list[int], text: str | None) -> None:
    """The first ten of them."""
    told = _runs(numbers, more=False)
    assert told == text or (text is None and told.endswith("19 …"))
    assert _runs(numbers, more=True) == f"{told.removesuffix(' …')} …"


async def _lacks_nothing() -> str:
    return ""


async def test_mass_damage_is_more_than_ten_and_more_than_one_in_twenty() -> None:
    """Ten are repaired whatever the share, and eleven of many are, too; an inactive guard stops nothing."""
    store = MemoryBlobStore()
    await store.put("k", b"")
    guard = MassDamageGuard(store, _lacks_nothing, active=True)
    await guard.require_plausible(10, 10)
    await guard.require_plausible(210, 0)
    await guard.require_plausible(1, 1)

    with pytest.raises(MassDamageError, match="12 of the first 222") as raised:
        await guard.require_plausible(1, 1)

    assert (raised.value.damaged, raised.value.examined) == (12, 222)
    await MassDamageGuard(MemoryBlobStore(), _lacks_nothing, active=False).require_plausible(100, 100)


async def test_an_empty_store_is_mass_damage_at_the_first_missing_thing() -> None:
    """A volume that is not mounted."""
    with pytest.raises(MassDamageError, match="nothing at all"):
        await MassDamageGuard(MemoryBlobStore(), _lacks_nothing, active=True).require_plausible(1, 1)
