"""Scopes are read as the grammar of Distribution has it; what is malformed asks for nothing."""

from __future__ import annotations

import pytest

from entrepot.auth.scopes import ScopeLimitError, ordered_actions, parse_scopes, repository_scope
from entrepot.oci.names import RepositoryName


def _read(*values: str) -> dict[str, list[str]]:
    return {
        name.text: ordered_actions(actions) for name, actions in parse_scopes(values).repositories.items()
    }


def test_a_scope_names_a_repository_and_actions_t4() -> None:
    assert _read("repository:team/app:pull,push") == {"team/app": ["pull", "push"]}


def test_repeated_and_space_joined_scopes_are_the_same_t5() -> None:
    assert _read("repository:a/b:pull", "repository:c/d:push") == {"a/b": ["pull"], "c/d": ["push"]}
    assert _read("repository:a/b:pull  repository:c/d:push ") == {"a/b": ["pull"], "c/d": ["push"]}


def test_a_repository_named_twice_is_asked_for_both() -> None:
    assert _read("repository:a/b:push repository:a/b:delete,pull") == {"a/b": ["pull", "push", "delete"]}


def test_the_class_of_a_type_is_ignored_t4() -> None:
    assert _read("repository(plugin):team/app:pull") == {"team/app": ["pull"]}


def test_the_order_of_actions_does_not_matter_and_every_action_has_a_sign_t4() -> None:
    assert _read("repository:a/b:push,pull", "repository:c/d:*") == {"a/b": ["pull", "push"], "c/d": ["*"]}


def test_no_actions_are_no_error_t4() -> None:
    assert _read("repository:team/app:") == {"team/app": []}


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "repository",
        "repository:",
        "repository:team/app",
        "repository::pull",
        ":team/app:pull",
        "Repository:team/app:pull",
        "repository(:team/app:pull",
        "repository():team/app:pull",
        "repository:Team/App:pull",
        "repository:team/app/:pull",
        "repository:team/app :pull",
        "repository:team//app:pull",
        "repository:localhost:5000/team/app:pull",
        "repository:team/app:pull,",
        "repository:team/app:PULL",
        "repository:team/app:pull;push",
        "repository:team/app:pull\n",
        "repository:team/app\n:pull",
        "namespace:team:pull",
        "registry:catalog:pull",
        "registry:other:*",
    ],
)
def test_what_is_malformed_or_unknown_asks_for_nothing_t4(scope: str) -> None:
    request = parse_scopes([scope])

    assert (request.repositories, request.catalog) == ({}, False)


def test_the_name_must_be_spelled_exactly_t11() -> None:
    assert _read("repository:team/app:pull", "repository:Team/app:push") == {"team/app": ["pull"]}


def test_the_catalog_is_a_scope_of_the_registry() -> None:
    assert parse_scopes(["registry:catalog:*"]).catalog is True


def test_nothing_asked_for_is_not_the_same_as_nothing_understood_t7() -> None:
    assert parse_scopes([]).is_empty is True
    assert parse_scopes(["", " "]).is_empty is True
    assert parse_scopes(["nonsense"]).is_empty is False


def test_there_is_a_limit_to_what_is_asked_at_once() -> None:
    assert len(parse_scopes(["repository:a/b:pull"] * 100).repositories) == 1
    with pytest.raises(ScopeLimitError):
        parse_scopes(["repository:a/b:pull"] * 101)
    with pytest.raises(ScopeLimitError):
        parse_scopes(["repository:" + "a" * 8200 + ":pull"])


def test_the_canonical_text_orders_the_actions() -> None:
    name = RepositoryName.parse("team/app")

    assert repository_scope(name, {"delete", "push", "pull"}) == "repository:team/app:pull,push,delete"
    assert repository_scope("team/app", ()) == "repository:team/app:"
