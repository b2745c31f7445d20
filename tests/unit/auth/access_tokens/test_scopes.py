"""What an access token is limited to, and how that is stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.auth.access_tokens.errors import InvalidAccessTokenError
from entrepot.auth.access_tokens.scopes import encode_scopes, limits_of, parse_scopes


def test_scopes_come_back_as_limits_s15() -> None:
    stored = encode_scopes(parse_scopes(["repository:push", "repository:pull", "repository:pull"], ["team"]))

    limits = limits_of("token1", stored)

    assert stored == b'{"permissions":["repository:pull","repository:push"],"projects":["team"]}'
    assert limits.credential == "token1"
    assert limits.allow("repository:pull", "team") is True
    assert limits.allow("repository:delete", "team") is False
    assert limits.allow("repository:pull", "other") is False
    assert limits.allow("repository:pull", "") is False


def test_no_scopes_are_no_limits_but_name_the_token_s15() -> None:
    limits = limits_of("token1", encode_scopes(parse_scopes(None, None)))

    assert (limits.credential, limits.permissions, limits.projects) == ("token1", None, None)
    assert limits.allow("repository:delete", "team") is True


@pytest.mark.parametrize(
    ("field", "permissions", "projects"),
    [
        ("permissions", [], None),
        ("permissions", ["repository:*"], None),
        ("permissions", ["repository:pull", "repository:fly"], None),
        ("permissions", ["repository"], None),
        ("projects", None, []),
        ("projects", None, ["*"]),
        ("projects", None, ["Team"]),
        ("projects", None, ["team/app"]),
        ("projects", None, ["team\n"]),
        ("projects", None, ["a" * 256]),
        ("projects", None, [f"p{number}" for number in range(101)]),
    ],
)
def test_what_can_not_limit_is_refused(
    field: str, permissions: list[str] | None, projects: list[str] | None
) -> None:
    """An empty list would read as no limit to somebody, some day."""
    with pytest.raises(InvalidAccessTokenError) as caught:
        parse_scopes(permissions, projects)

    assert caught.value.field == field


@given(st.lists(st.text(max_size=20), max_size=4), st.text(max_size=20))
def test_whatever_is_asked_for_limits_or_is_refused(names: list[str], project: str) -> None:
    """Nothing is accepted that allows more than it names (S15)."""
    try:
        scopes = parse_scopes(["repository:pull"], names)
    except InvalidAccessTokenError:
        return
    limits = limits_of("t", encode_scopes(scopes))
    assert limits.allow("repository:pull", project) is (project in names)
    assert limits.allow("repository:push", project) is False
