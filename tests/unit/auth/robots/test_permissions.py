"""What a robot can be given, and how that is stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.auth.robots.errors import InvalidRobotError
from entrepot.auth.robots.permissions import (
    ROBOT_PROJECT_PERMISSIONS,
    ROBOT_SYSTEM_PERMISSIONS,
    AskedPermissions,
    RobotPermissions,
    decode_permissions,
    encode_permissions,
    parse_permissions,
)

_PULL = (("repository", "pull"),)


def test_permissions_are_stored_as_decisions_read_them() -> None:
    """The form is a contract between two parts."""
    entries = parse_permissions(
        [
            AskedPermissions("project", "library", (("repository", "push"), ("repository", "pull"))),
            AskedPermissions("system", "/", (("project", "list"), ("project", "list"))),
        ],
        "system",
    )

    stored = encode_permissions(entries)

    assert stored == (
        b'[{"kind":"project","namespace":"library","access":["repository:pull","repository:push"]},'
        b'{"kind":"system","namespace":"/","access":["project:list"]}]'
    )
    assert decode_permissions(stored) == entries


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("permissions", []),
        ("permissions.kind", [AskedPermissions("repository", "team", _PULL)]),
        ("permissions.namespace", [AskedPermissions("project", "", _PULL)]),
        ("permissions.namespace", [AskedPermissions("project", "/", _PULL)]),
        ("permissions.namespace", [AskedPermissions("project", "Team", _PULL)]),
        ("permissions.namespace", [AskedPermissions("project", "team/app", _PULL)]),
        ("permissions.namespace", [AskedPermissions("project", "team\n", _PULL)]),
        ("permissions.namespace", [AskedPermissions("project", "**", _PULL)]),
        ("permissions.namespace", [AskedPermissions("system", "*", (("project", "list"),))]),
        ("permissions.namespace", [AskedPermissions("project", "team", _PULL)] * 2),
        ("permissions.access", [AskedPermissions("project", "team", ())]),
        ("permissions.access", [AskedPermissions("project", "team", (("repository", "*"),))]),
        ("permissions.access", [AskedPermissions("project", "team", (("*", "pull"),))]),
        ("permissions.access", [AskedPermissions("project", "team", (("catalog", "read"),))]),
        ("permissions.access", [AskedPermissions("system", "/", _PULL)]),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_by_the_name_of_its_field(
    field: str, asked: list[AskedPermissions]
) -> None:
    with pytest.raises(InvalidRobotError) as caught:
        parse_permissions(asked, "system")

    assert caught.value.field == field


@pytest.mark.parametrize("action", ["read", "list", "create", "update", "delete"])
@pytest.mark.parametrize(("kind", "namespace"), [("project", "team"), ("system", "/")])
def test_no_robot_is_given_anything_on_robots_s9(kind: str, namespace: str, action: str) -> None:
    """A robot can't make or extend robots, nor look at them."""
    with pytest.raises(InvalidRobotError, match=f"no robot can be given robot:{action}"):
        parse_permissions([AskedPermissions(kind, namespace, (("robot", action),))], "system")


def test_the_lists_of_what_can_be_given_hold_nothing_on_robots_s9() -> None:
    assert not [name for name in ROBOT_PROJECT_PERMISSIONS | ROBOT_SYSTEM_PERMISSIONS if "robot" in name]
    assert "repository:push" in ROBOT_PROJECT_PERMISSIONS
    assert "catalog:read" in ROBOT_SYSTEM_PERMISSIONS


@pytest.mark.parametrize(
    "asked",
    [
        [AskedPermissions("project", "other", _PULL)],
        [AskedPermissions("project", "*", _PULL)],
        [AskedPermissions("system", "/", (("project", "list"),))],
        [AskedPermissions("project", "team", _PULL), AskedPermissions("project", "other", _PULL)],
        [AskedPermissions("project", "team", _PULL), AskedPermissions("system", "/", (("catalog", "read"),))],
    ],
)
def test_a_robot_of_a_project_has_one_entry_of_its_own_project_s9(asked: list[AskedPermissions]) -> None:
    with pytest.raises(InvalidRobotError) as caught:
        parse_permissions(asked, "project", "team")

    assert caught.value.field == "permissions.namespace"
    own = parse_permissions([AskedPermissions("project", "team", _PULL)], "project", "team")
    assert own == (RobotPermissions("project", "team", ("repository:pull",)),)


@given(
    st.text(max_size=12),
    st.text(max_size=12),
    st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=3),
)
def test_whatever_is_asked_for_is_known_or_refused(
    kind: str, namespace: str, access: list[tuple[str, str]]
) -> None:
    """Nothing gets through that is not on the lists."""
    try:
        (entry,) = parse_permissions([AskedPermissions(kind, namespace, tuple(access))], "system")
    except InvalidRobotError:
        return
    assert set(entry.access) <= ROBOT_PROJECT_PERMISSIONS | ROBOT_SYSTEM_PERMISSIONS
