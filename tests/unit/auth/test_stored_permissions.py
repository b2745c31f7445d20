"""What a stored role permits: the names of its level that are known, and nothing that can't be read."""

from __future__ import annotations

import pytest

from entrepot.auth.stored_permissions import known_permissions


def test_only_known_names_of_the_level_count() -> None:
    stored = b'["repository:pull", "user:create", "moon:walk"]'

    assert known_permissions("project", stored) == {"repository:pull"}
    assert known_permissions("system", stored) == {"user:create"}


@pytest.mark.parametrize("stored", [b"", b"{}", b"[1]", b'["repository:pull"', b"\xff"])
def test_what_can_not_be_read_permits_nothing(stored: bytes) -> None:
    assert known_permissions("project", stored) == set()
