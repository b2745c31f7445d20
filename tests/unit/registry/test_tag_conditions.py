"""Which tags a conditional push may move."""

from __future__ import annotations

import pytest

from entrepot.oci.digest import Digest
from entrepot.registry.pushes.tag_conditions import UNCONDITIONAL, TagCondition

_HERE, _THERE = Digest.of_bytes(b"here"), Digest.of_bytes(b"there")


@pytest.mark.parametrize(
    ("condition", "absent", "here", "there"),
    [
        (UNCONDITIONAL, True, True, True),
        (TagCondition(exists=True), False, True, True),
        (TagCondition(exists=False), True, False, False),
        (TagCondition(one_of=frozenset({str(_HERE)})), False, True, False),
        (TagCondition(one_of=frozenset({str(_HERE), str(_THERE)})), False, True, True),
        (TagCondition(one_of=frozenset()), False, False, False),
        (TagCondition(none_of=frozenset({str(_HERE)})), True, False, True),
        (
            TagCondition(one_of=frozenset({str(_HERE), str(_THERE)}), none_of=frozenset({str(_HERE)})),
            False, False, True,
        ),
    ],
)  # fmt: skip
def test_a_condition_looks_at_what_the_tag_pointed_at(
    condition: TagCondition, absent: bool, here: bool, there: bool
) -> None:
    """For a tag that was not there, one that points here, and one that points elsewhere."""
    assert (condition.allows(None), condition.allows(_HERE), condition.allows(_THERE)) == (
        absent,
        here,
        there,
    )
