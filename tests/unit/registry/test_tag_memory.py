"""What is remembered of tags: the last digest of each, of those that were pulled last."""

from __future__ import annotations

from entrepot.oci.digest import Digest
from entrepot.registry.pulls.tag_memory import TagMemory

_ONE, _TWO = Digest.of_bytes(b"one"), Digest.of_bytes(b"two")


def test_a_tag_is_remembered_by_its_repository() -> None:
    memory = TagMemory()

    memory.put("team/app", "v1", _ONE)

    assert memory.get("team/app", "v1") == _ONE
    assert memory.get("team/other", "v1") is None
    assert memory.get("team/app", "v2") is None


def test_a_tag_that_moved_is_remembered_where_it_is() -> None:
    memory = TagMemory()

    memory.put("team/app", "v1", _ONE)
    memory.put("team/app", "v1", _TWO)

    assert memory.get("team/app", "v1") == _TWO


def test_what_was_not_pulled_for_longest_is_forgotten_i12() -> None:
    memory = TagMemory(capacity=2)
    memory.put("team/app", "v1", _ONE)
    memory.put("team/app", "v2", _ONE)
    memory.get("team/app", "v1")

    memory.put("team/app", "v3", _TWO)

    found = {tag: memory.get("team/app", tag) for tag in ("v1", "v2", "v3")}
    assert found == {"v1": _ONE, "v2": None, "v3": _TWO}
