"""Every permission that can be given is asked for somewhere, or the reference says that it opens nothing (S2)."""

from __future__ import annotations

from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from tests.docs.permission_reference import NOTHING_YET, enforced_permissions


def test_s2_each_permission_is_enforced_or_is_said_to_open_nothing() -> None:
    """One that is added, or whose last use goes, has to be put into exactly one of the two."""
    given = {
        *(("project", name) for name in PROJECT_PERMISSIONS),
        *(("system", name) for name in SYSTEM_PERMISSIONS),
    }
    enforced = set(enforced_permissions())

    assert given - enforced == NOTHING_YET
    assert enforced <= given


def test_s2_the_data_plane_asks_for_what_its_reference_says() -> None:
    uses = enforced_permissions()

    assert {name for _, name in NOTHING_YET if name.startswith("tag:")} == {
        "tag:list",
        "tag:create",
        "tag:delete",
    }
    assert uses["project", "repository:delete"][-2:] == ["`manifest.delete`", "`blob.delete`"]
    assert uses["project", "tag:overwrite"] == ["a push that points an existing tag at something else"]
    assert "`tags.list`" in uses["project", "repository:pull"]
    assert uses["system", "catalog:read"] == ["`catalog.list`"]
